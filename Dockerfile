FROM oven/bun:1.4.5-slim AS dependencies
WORKDIR /app
COPY package.json bun.lock bunfig.toml ./
# No peers: what a library of ours lets others bring along (React) has no place in a server.
RUN bun install --frozen-lockfile --production --omit=peer --ignore-scripts

FROM oven/bun:1.4.5-slim
LABEL org.opencontainers.image.title="Headgate" \
      org.opencontainers.image.description="Kafka topics, live, as Server-Sent Events" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    DATA_DIR=/data \
    # The root file system may be read-only: Bun's cache of transpiled files has no place there.
    BUN_RUNTIME_TRANSPILER_CACHE_PATH=0
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json tsconfig.json LICENSE ./
COPY src ./src
# A new volume takes over the owner of the folder that it is mounted on.
RUN mkdir /data && chown 1000:1000 /data
# The base image's user bun, by number: Kubernetes cannot tell that a name is not root's (runAsNonRoot).
USER 1000:1000
VOLUME /data
EXPOSE 3000
# Whether the process serves, not whether Kafka is there: that is /readyz.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["bun", "-e", "const { TLS_CERT: tls, PORT, SSE_PORT } = process.env; const url = `${tls ? 'https' : 'http'}://127.0.0.1:${PORT || SSE_PORT || 3000}/livez`; const { ok } = await fetch(url, { tls: { rejectUnauthorized: false } }); process.exit(ok ? 0 : 1);"]
# Directly, so that SIGTERM reaches the server.
ENTRYPOINT ["bun", "src/app.ts"]
