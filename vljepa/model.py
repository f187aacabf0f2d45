"""VL-JEPA, whole: the four parts and what they are asked (Chen et al., arXiv:2512.10942).

A model predicts the embedding of the text that would answer a query about a video. Everything else is done with
embeddings: captions are decoded from them, labels and answers are compared with them.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from visualizations.landmark_map import Landmarks
from vljepa.calibration import Calibration
from vljepa.config import ModelConfig
from vljepa.photo import fit
from vljepa.predictor import build_predictor
from vljepa.readout import Caption, CaptionBank, check_readout, normalise
from vljepa.stream import EmbeddingStream
from vljepa.text import TextTokenizer
from vljepa.video import Source
from vljepa.x_encoder import FrameXEncoder, build_x_encoder
from vljepa.y_decoder import END, PAD, START, YDecoder
from vljepa.y_encoder import build_y_encoder

TEXTS_AT_ONCE = 128


class VLJEPA(nn.Module):
    """The X-Encoder, Predictor, Y-Encoder and Y-Decoder of one checkpoint, with their tokenizers.

    `text_shift` leads from the cone that predictions lie in to the one that texts lie in (the difference of their
    means, set after training); read-outs, which know texts, apply it first.
    """

    text_shift: Tensor

    def __init__(
        self, config: ModelConfig, query_tokenizer: TextTokenizer, text_tokenizer: TextTokenizer,
        decoder_tokenizer: TextTokenizer | None = None, bank: CaptionBank | None = None,
        landmarks: Landmarks | None = None,
    ) -> None:
        super().__init__()
        self.config, self.name = config, config.name
        self.query_tokenizer, self.text_tokenizer = query_tokenizer, text_tokenizer
        self.decoder_tokenizer, self.bank, self.landmarks = decoder_tokenizer, bank, landmarks
        self.x_encoder = build_x_encoder(config.x_encoder)
        parts = self.x_encoder.part_widths if isinstance(self.x_encoder, FrameXEncoder) else (0, 0)
        self.predictor = build_predictor(config.predictor, self.x_encoder.dim, self.x_encoder.tokens_per_step,
                                         config.embed_dim, config.x_encoder.colour_parts, parts)
        self.y_encoder = build_y_encoder(config.y_encoder, config.embed_dim)
        self.y_decoder = None if config.y_decoder is None else YDecoder(config.y_decoder, config.embed_dim)
        self.register_buffer("text_shift", torch.zeros(config.embed_dim))
        self.fingerprint = ""  # names the weights: `load` sets it, and what can turn similarities into probabilities
        self.calibration: Calibration | None = None

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.text_shift.device

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are kept in."""
        return self.text_shift.dtype

    @property
    def answers_queries(self) -> bool:
        """Whether a query changes the prediction: not with a joint embedding, which has nothing to ask."""
        return self.config.predictor.architecture != "mean"

    @property
    def readouts(self) -> tuple[str, ...]:
        """The read-outs that this checkpoint has, the default first."""
        return ("decoder",) * (self.y_decoder is not None) + ("bank",) * (self.bank is not None)

    def embed(self, video: Source, query: str | None = None, rate_hz: float | None = None) -> EmbeddingStream:
        """Open a path, URL or camera index, or take a `FrameSource`, and predict `rate_hz` embeddings a second, lazily.

        `query` None asks for a caption; `rate_hz` None takes the rate the model was made for. VideoError if the video
        cannot be opened, ValueError for an empty or too long query or an impossible rate.
        """
        self.query_tokens([query])  # refuse a bad query before a video is opened
        return EmbeddingStream(self, video, query, self.config.rate_hz if rate_hz is None else rate_hz)

    def fit(self, image: UInt8[np.ndarray, "height width 3"]) -> Shaped[np.ndarray, "side side 3"]:
        """An RGB picture as the X-Encoder's square, to be given to `encode_frames`."""
        return fit(image, self.config.x_encoder)

    def embed_clip(
        self, frames: Sequence[UInt8[np.ndarray, "height width 3"]], query: str | None = None
    ) -> Float[np.ndarray, " embed"]:
        """The predicted embedding, unit length, of a whole clip: as many frames as a window holds, evenly spread.

        Of 5 frames and a window of 3, those are frames 0, 2 and 4. A clip with fewer frames is taken as it is.
        ValueError if there is no frame.
        """
        if len(frames) == 0:
            raise ValueError("a clip needs at least one frame")
        window = self.config.predictor.window_frames
        chosen = np.linspace(0, len(frames) - 1, min(window, len(frames))).astype(int)
        clip = torch.from_numpy(np.stack([self.fit(frames[i]) for i in chosen]))[None]
        return self.predict(self.encode_clips(self.fill(clip)), query)[0]

    def fill(self, clips: Shaped[Tensor, "batch time height width 3"]) -> Shaped[Tensor, "batch full height width 3"]:
        """Clips shorter than a window, their first frame repeated to fill it, if the X-Encoder sees clips whole.

        It was trained on full windows, and a picture is repeated to be a clip (arXiv:2512.10942, section 3.1).
        """
        missing = self.config.predictor.window_frames - clips.shape[1]
        if self.x_encoder.frames_per_step == 1 or missing <= 0:
            return clips
        return torch.cat([clips[:, :1].expand(-1, missing, -1, -1, -1), clips], dim=1)

    def encode_frames(self, frames: Shaped[np.ndarray, "batch height width 3"]) -> Float[Tensor, "batch tokens dim"]:
        """Visual tokens of RGB frames, 0 to 255, one by one, that already are the X-Encoder's square."""
        return self.encode_clips(torch.from_numpy(frames)[:, None])[:, 0]

    def encode_photos(
        self, frames: Shaped[np.ndarray, "batch height width 3"]
    ) -> Float[Tensor, "batch time tokens dim"]:
        """A window of visual tokens for each still picture that already is the X-Encoder's square."""
        return self.encode_clips(self.fill(torch.from_numpy(frames)[:, None]))

    @torch.inference_mode()
    def encode_clips(
        self, clips: Shaped[Tensor, "batch time height width 3"]
    ) -> Float[Tensor, "batch steps tokens dim"]:
        """Visual tokens of RGB clips, 0 to 255, that already are the X-Encoder's square."""
        pixels = self.x_encoder.preprocess(clips.to(self.device)).to(self.dtype)
        return self.x_encoder(pixels).to(self.dtype)

    @torch.inference_mode()
    def predict(
        self, visual_tokens: Float[Tensor, "batch time tokens dim"], query: str | Sequence[str | None] | None = None
    ) -> Float[np.ndarray, "batch embed"]:
        """Predicted embeddings, unit length, of windows of visual tokens; one query for all or one each."""
        queries: Sequence[str | None] = [query] if query is None or isinstance(query, str) else query
        tokens, mask = self.query_tokens(queries)
        if len(queries) == 1:
            tokens, mask = tokens.expand(len(visual_tokens), -1), mask.expand(len(visual_tokens), -1)
        predicted = self.predictor(visual_tokens, tokens, mask)
        return F.normalize(predicted.float(), dim=-1).cpu().numpy()

    def predict_windows(
        self, visual_tokens: Float[Tensor, "windows time tokens dim"], query: str | Sequence[str] | None = None,
        at_once: int = 128,
    ) -> Float[np.ndarray, "windows embed"]:
        """`predict` for any number of windows, `at_once` at a time."""
        shared = query is None or isinstance(query, str)
        return np.concatenate([
            self.predict(visual_tokens[i : i + at_once], query if shared or query is None else query[i : i + at_once])
            for i in range(0, len(visual_tokens), at_once)])

    @torch.inference_mode()
    def embed_text(self, texts: Sequence[str]) -> Float[np.ndarray, "texts embed"]:
        """Target embeddings of texts, unit length. ValueError on an empty list or an empty text."""
        if len(texts) == 0:
            raise ValueError("give at least one text to embed")
        if blank := [i for i, text in enumerate(texts) if not text.strip()]:
            raise ValueError(f"text {blank[0] + 1} of {len(texts)} is empty: write something or leave it out")
        embeddings = np.empty((len(texts), self.config.embed_dim), dtype=np.float32)
        order = np.argsort([len(text) for text in texts], kind="stable")  # like lengths together: little padding
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            chunk = order[start : start + TEXTS_AT_ONCE]
            ids, mask = self.text_tokenizer([texts[i] for i in chunk])
            target = self.y_encoder(ids.to(self.device), mask.to(self.device))
            embeddings[chunk] = F.normalize(target.float(), dim=-1).cpu().numpy()
        return embeddings

    def decode(self, embeddings: Float[np.ndarray, "batch embed"], readout: str | None = None) -> list[Caption]:
        """One sentence for each predicted embedding, by "decoder" or "bank"; None takes the checkpoint's first."""
        readout = self.readouts[0] if readout is None else readout
        check_readout(readout, self.readouts)
        if len(embeddings) == 0:
            return []
        as_text = self.as_text(embeddings)
        if readout == "bank":
            assert self.bank is not None
            return self.bank.nearest(as_text)
        texts = self.write(as_text if self.bank is None else self.bank.project(as_text))
        similarity = (self.embed_text(texts) * as_text).sum(axis=1)
        return [Caption(text, "decoder", float(s)) for text, s in zip(texts, similarity, strict=True)]

    def as_text(self, embeddings: Float[np.ndarray, "batch embed"]) -> Float[np.ndarray, "batch embed"]:
        """Predicted embeddings moved to where sentences lie, so that their cosines with sentences compare."""
        return normalise(normalise(embeddings) + self.text_shift.float().cpu().numpy())

    def write(self, as_text: Float[np.ndarray, "batch embed"], beams: int = 3) -> list[str]:
        """The Y-Decoder's likeliest sentences for embeddings of texts, by beam search."""
        assert self.y_decoder is not None and self.decoder_tokenizer is not None
        content = self.decoder_tokenizer.content().to(self.device)
        tokens, _ = self.y_decoder.generate(torch.from_numpy(as_text).to(self.device), beams, content)
        return [self._sentence(candidates[0].tolist()) for candidates in tokens]

    def _sentence(self, ids: list[int]) -> str:
        assert self.decoder_tokenizer is not None
        ids = ids[: ids.index(END)] if END in ids else ids
        text = self.decoder_tokenizer.decode([i for i in ids if i not in (PAD, START)]).strip()
        return f"{text[:1].upper()}{text[1:].rstrip(' .')}." if text else "(nothing to say)"

    def query_tokens(self, queries: Sequence[str | None]) -> tuple[Tensor, Tensor]:
        """Token ids and their mask; None asks for a caption. ValueError for an empty or too long query."""
        texts = [self.config.caption_query if query is None else query for query in queries]
        if any(not text.strip() for text in texts):
            raise ValueError("the query is empty: ask something, or leave it out to get captions")
        tokens, mask = self.query_tokenizer(texts)
        if tokens.shape[1] > self.config.predictor.query_length:
            raise ValueError(f"a query may have {self.config.predictor.query_length} tokens with this checkpoint, "
                             f"got {tokens.shape[1]}: ask in fewer words")
        return tokens.to(self.device), mask.to(self.device)
