# syntax=docker/dockerfile:1

# Builds the program. The dependencies are a layer of their own, so that an edit builds the workspace only.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package ecs-scheduler \
    && cp target/release/ecs-scheduler /usr/local/bin/ecs-scheduler

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/ecs-scheduler --create-home ecs-scheduler
COPY --from=build /usr/local/bin/ecs-scheduler /usr/local/bin/ecs-scheduler
USER 10001
WORKDIR /var/lib/ecs-scheduler
VOLUME /var/lib/ecs-scheduler
# It listens on every address of the container, so clients need an access token. The first one:
# docker exec CONTAINER ecs-scheduler token create --bootstrap
ENV ECSS_LISTEN=0.0.0.0:5000 \
    ECSS_AUTH=tokens \
    ECSS_DATA_DIR=/var/lib/ecs-scheduler
EXPOSE 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
    CMD ["ecs-scheduler", "health"]
ENTRYPOINT ["ecs-scheduler"]
