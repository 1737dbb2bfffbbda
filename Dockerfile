# syntax=docker/dockerfile:1
# One image with everything in it: server, page, classifier and what runs it. `docker compose up` builds and starts it.

FROM node:20-bookworm-slim AS web
WORKDIR /parlor/web
COPY web ./
RUN npm ci --no-audit --no-fund && npm run build

FROM debian:bookworm-slim AS models
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates nodejs npm python3 python3-venv
WORKDIR /parlor
COPY models models
RUN models/prepare

FROM rust:1.95-bookworm AS server
WORKDIR /parlor
COPY . .
RUN cargo build --release --locked --package parlor

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl ffmpeg fonts-dejavu-core \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10003 --home-dir /data --shell /usr/sbin/nologin parlor \
    && install -d -o parlor -g parlor -m 700 /data
COPY --from=server /parlor/target/release/parlor /usr/local/bin/parlor
COPY --from=web /parlor/web/app/dist /usr/share/parlor/web
COPY --from=models /parlor/models/manifest.toml /parlor/models/libonnxruntime.so /parlor/models/mobilenet.onnx /usr/share/parlor/models/
# All cores share one UDP port: a published range costs Docker a process for each of its ports.
ENV PARLOR_DATA_DIR=/data \
    PARLOR_WEB_DIR=/usr/share/parlor/web \
    PARLOR_MODELS_DIR=/usr/share/parlor/models \
    PARLOR_MEDIA_ONE_PORT=true
USER parlor
VOLUME /data
# The page, REST and the socket; media over UDP and TCP; STUN and TURN.
EXPOSE 3003/tcp 10000/udp 10000/tcp 3478/udp 3478/tcp
# What it says is the process's own health: a database that is away is /ready's to tell, and no reason to kill anybody's call.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD curl --fail --silent --insecure --location --output /dev/null http://127.0.0.1:3003/health
ENTRYPOINT ["parlor"]
CMD ["serve"]
