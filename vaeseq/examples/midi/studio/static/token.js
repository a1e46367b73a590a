// The token of the server, without which it answers nothing. It is in the address of the page. Pages
// of the same server in one browser tell it each other, so that one whose server was started again,
// with another token, goes on as soon as the new address is open.

const CHANNEL = "vaeseq studio"; // the browser connects pages of one origin only

export const inAddress = () => new URLSearchParams(location.search).get("token") ?? "";

/** Joins the pages of this server. `mine()` returns a token that is good, or null; `take(token)` gets
 * those of others. Returns {tell, ask}: tells the others, and asks them. */
export function join({ mine, take }) {
  const channel = new BroadcastChannel(CHANNEL);
  const tell = () => mine() && channel.postMessage({ token: mine() });
  channel.addEventListener("message", ({ data }) => (data.token ? take(data.token) : tell()));
  return { tell, ask: () => channel.postMessage({}) };
}

/** Follows a text that may be the address of a studio: opens it with this session if it is that of
 * another server, or else hands its token to `take`. Returns whether it was one. */
export function follow(text, fragment, take) {
  if (!URL.canParse(text)) return false;
  const address = new URL(text);
  const token = address.searchParams.get("token");
  if (!token || !["http:", "https:"].includes(address.protocol)) return false;
  if (address.origin === location.origin) take(token);
  else location.href = `${address.origin}/?token=${encodeURIComponent(token)}#${fragment}`;
  return true;
}
