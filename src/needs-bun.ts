/** What `import … from "headgate"` gets where there is no Bun. It has the names, so that it is this that is said. */
export const createHeadgate = refuse();

function refuse(): never {
  throw new Error(
    "Headgate's server runs on Bun 1.4.5 or later (https://bun.sh). What reads and publishes runs everywhere: import it from headgate/client",
  );
}
