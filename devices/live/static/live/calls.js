// Calls of the gateway's own API, as the person who is logged in.

const OURS = "tag:plc-gateway,2026:"; // what the type of each of the gateway's problems begins with
const LIMIT_MS = 30_000;

/** Nothing came back that is the gateway's own word: what was asked for may have been done all the same. */
export class NoAnswer extends Error {}

/** The answer's `status` and JSON `content`, of a problem too. Throws NoAnswer. */
export async function call(address, { method = "GET", body = null, key = null, limitMs = LIMIT_MS } = {}) {
  try {
    const signal = AbortSignal.timeout(limitMs);
    const ask = async () => {
      const headers = headersOf(method, key);
      const response = await fetch(address, { method, headers, body, signal, cache: "no-store", redirect: "error" });
      return ownWord(response.status, await response.json());
    };
    const answer = await ask();
    // Nothing was done: somebody has logged in again in another tab, which makes another token.
    return lacksToken(answer) && (await renewToken(signal)) ? await ask() : answer;
  } catch {
    throw new NoAnswer();
  }
}

/** Whether the answer is what was asked for. */
export function isGood({ status }) {
  return status < 300;
}

/** Why it is not, in the gateway's words; where the login is over, in the page's. */
export function whyNot({ status, content }) {
  return status === 401 ? gettext("You are logged out. Log in again, then repeat it.") : content.detail;
}

/** A name for a request that nobody else gives; `randomUUID` is there in secure contexts only, and plants have http. */
export function freshKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function headersOf(method, key) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") Object.assign(headers, { "Content-Type": "application/json", "X-CSRFToken": token() });
  if (key) headers["Idempotency-Key"] = key;
  return headers;
}

/** What a proxy says of a gateway that it lost, or the gateway of its own mistake, tells nothing of the machine. */
function ownWord(status, content) {
  if (status >= 500 && content.type === `${OURS}internal-error`) throw new NoAnswer();
  if (status >= 300 && !String(content.type).startsWith(OURS)) throw new NoAnswer();
  return { status, content };
}

function lacksToken({ status, content }) {
  return status === 403 && content.type === `${OURS}forbidden`;
}

/** As the page came: its cookie is for the browser only. */
function token() {
  return document.body.dataset.token;
}

/** That of this page as it would come now; whether it is another one. */
async function renewToken(signal) {
  const response = await fetch(location.pathname, { signal, cache: "no-store" });
  const fresh = (await response.text()).match(/ data-token="(\w+)"/)?.[1];
  if (!fresh) return false;
  document.body.dataset.token = fresh;
  return true;
}
