"""Y-Decoder: an embedding becomes a sentence, only when asked (arXiv:2512.10942, section 3.1 and 3.3).

The paper gives neither architecture nor size. Here it is a small causal Llama whose first positions are the embedding,
projected to `prefix` vectors; it is trained on text alone, so it never sees an image.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM, LogitsProcessor, LogitsProcessorList

from vljepa.config import YDecoderConfig, attention

PAD, START, END = 0, 1, 2  # the first ids of the decoder's vocabulary
REPETITION_NATS = 2.0  # chosen on validation photos (docs/log.md)


class YDecoder(nn.Module):
    """Embedding -> sentence, as token ids of the decoder's own small vocabulary."""

    def __init__(self, config: YDecoderConfig, embed_dim: int) -> None:
        super().__init__()
        self.config = config
        self.prefix = nn.Linear(embed_dim, config.prefix * config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.model = LlamaForCausalLM(LlamaConfig(
            vocab_size=config.vocabulary, hidden_size=config.hidden, intermediate_size=config.mlp,
            num_hidden_layers=config.layers, num_attention_heads=config.heads, tie_word_embeddings=True,
            attention_dropout=config.dropout, max_position_embeddings=config.prefix + config.max_tokens,
            pad_token_id=PAD, bos_token_id=START, eos_token_id=END, attn_implementation=attention(config.hidden)))
        # the prompt's last states are a strided view, for which torch would copy the vocabulary once a sentence
        self.model.lm_head.register_forward_pre_hook(lambda _, states: (states[0].contiguous(),))

    def loss(
        self, embeddings: Float[Tensor, "batch embed"], text_tokens: Int[Tensor, "batch text"]
    ) -> Float[Tensor, ""]:
        """Mean cross-entropy, in nats a token, of sentences (START ... END, PAD on the right) given embeddings."""
        words = self.dropout(self.model.model.embed_tokens(text_tokens[:, :-1]))
        inputs = torch.cat([self._prefix(embeddings).to(words.dtype), words], dim=1)
        hidden = self.model.model(inputs_embeds=inputs).last_hidden_state[:, self.config.prefix :]
        kept = text_tokens[:, 1:] != PAD  # score real tokens alone: the vocabulary is the costly part
        return F.cross_entropy(self.model.lm_head(hidden[kept]).float(), text_tokens[:, 1:][kept])

    @torch.inference_mode()
    def generate(
        self, embeddings: Float[Tensor, "batch embed"], beams: int = 1,
        content: Bool[Tensor, " tokens"] | None = None,
    ) -> tuple[Int[Tensor, "batch beams text"], Float[Tensor, "batch beams"]]:
        """The `beams` best sentences for each embedding by beam search, and their mean log-probability a token.

        `content` marks the tokens that a sentence hardly needs twice; saying one again costs `REPETITION_NATS`.
        """
        start = torch.full((len(embeddings), 1), START, device=embeddings.device)
        inputs = torch.cat([self._prefix(embeddings), self.model.model.embed_tokens(start)], dim=1)
        mask = torch.ones(inputs.shape[:2], dtype=torch.long, device=inputs.device)
        found = self.model.generate(
            inputs_embeds=inputs, attention_mask=mask, logits_processor=_once(content), num_beams=beams,
            num_return_sequences=beams, do_sample=False,
            max_new_tokens=self.config.max_tokens - 1, output_scores=True, return_dict_in_generate=True)
        tokens = found.sequences.unflatten(0, (len(embeddings), beams))
        scores = found.sequences_scores if beams > 1 else torch.zeros(len(embeddings), device=embeddings.device)
        return tokens, scores.unflatten(0, (len(embeddings), beams))

    def _prefix(self, embeddings: Tensor) -> Tensor:
        # unit length means entries near 1 / sqrt(dim): scale them to the size of a word's embedding
        scaled = embeddings * embeddings.shape[-1] ** 0.5
        return self.prefix(scaled.to(self.prefix.weight.dtype)).unflatten(-1, (self.config.prefix, self.config.hidden))


class Repetition(LogitsProcessor):
    """Takes `nats` from the log-probability of every content token that the sentence holds already."""

    def __init__(self, content: Bool[Tensor, " tokens"], nats: float) -> None:
        self.content, self.nats = content, nats

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores (B, vocabulary) given the tokens so far, (B, text)."""
        said = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, input_ids, True)
        known = len(self.content)  # a small tokenizer leaves the end of the vocabulary unused
        return scores - self.nats * F.pad(said[:, :known] & self.content, (0, scores.shape[1] - known))


def _once(content: Tensor | None) -> LogitsProcessorList:
    return LogitsProcessorList([] if content is None else [Repetition(content, REPETITION_NATS)])
