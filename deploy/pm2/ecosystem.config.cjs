/**
 * For PM2: `pm2 start deploy/pm2/ecosystem.config.cjs`, with `bun` in PATH.
 *
 * Settings come from the environment in which PM2 is told to start, and from `env` below, which wins.
 */
module.exports = {
  apps: [
    {
      name: "headgate",
      cwd: require("node:path").join(__dirname, "../.."),

      // Bun itself is the program: PM2's own wrapper for Bun would be loaded into the server.
      script: "bun",
      args: "src/app.ts",
      interpreter: "none",

      // One instance. PM2's cluster mode is Node's, and two instances would share one DATA_DIR:
      // for more cores there is WORKERS.
      exec_mode: "fork",
      instances: 1,

      env: {
        NODE_ENV: "production",
        // SHUTDOWN_GRACE: "10000",
        // WORKERS: "3",
        // KAFKA_BROKERS: "kafka-1:9092,kafka-2:9092",
        // KAFKA_TOPICS: "orders,payments",
        // KAFKA_SASL_PASSWORD_FILE: "/etc/headgate/kafka-password",
      },

      // More than SHUTDOWN_GRACE and the 2 s after it; then PM2 kills.
      kill_timeout: 15_000,

      // Half a second after a crash, half as long again after each that follows soon, at most 15 s.
      exp_backoff_restart_delay: 500,

      // Not set: PM2 measures the first process alone, not its WORKERS, and a restart ends every
      // stream. If you must, well above what README-LOAD-TEST.md says of your number of streams.
      // max_memory_restart: "2G",

      // The server's lines are JSON with their own time.
      merge_logs: true,
    },
  ],
};
