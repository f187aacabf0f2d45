# The app on a GPU server, behind a name and a password. Not built by us: no container engine was at hand.
#
#   docker build -t vl-jepa .
#   printf 'a long password' > password
#   docker run --gpus all -p 7860:7860 -v vl-jepa-cache:/cache \
#     -v "$PWD/password":/run/secrets/password:ro vl-jepa --auth viewer:/run/secrets/password
#
# Then open http://SERVER:7860, better through a proxy that speaks TLS, and log in as `viewer`. The file must be readable by
# user 1000; without a GPU leave --gpus out. A Space of the hub (sdk: docker, header in docs/space_header.yaml) uses this file
# as it is, with the secret VLJEPA_AUTH=USER:PASSWORD. With neither the app refuses to start.
FROM python:3.11-slim

ENV VLJEPA_CACHE=/cache HF_HOME=/cache/huggingface PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
COPY requirements.txt ./
# PyPI's torch for Linux brings its CUDA libraries along; the host needs the NVIDIA driver and container toolkit only
RUN pip install -r requirements.txt
COPY . .
RUN useradd --create-home --uid 1000 vljepa && mkdir /cache && chown vljepa /cache
USER vljepa
VOLUME /cache
EXPOSE 7860
# process 1 gets no default handlers: Python stops at an interrupt, and would let a termination pass until it is killed
STOPSIGNAL SIGINT
ENTRYPOINT ["python", "-m", "app", "--host", "0.0.0.0", "--port", "7860"]
