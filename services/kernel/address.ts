/** Addresses of the net, as limits count them. */

/** In the one way in which addresses are compared: IPv6 as RFC 5952 writes it, without a zone, and IPv4 never as IPv6. What is no address stays as it is. */
export function plainAddress(text: string): string {
  const address = text.trim().replace(/%.*$/, "");
  const url = `http://[${address}]/`;
  if (!/^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(address) || !URL.canParse(url)) return address;
  const written = new URL(url).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(written);
  return mapped ? [mapped[1], mapped[2]].map(dotted).join(".") : written;
}

/** Two bytes of an IPv4 address. */
function dotted(hex = ""): string {
  const both = Number.parseInt(hex, 16);
  return `${both >> 8}.${both & 255}`;
}

/** Whom limits count: an address, or the /64 that one customer of an IPv6 provider has to himself. */
export function countedAs(address: string): string {
  const plain = plainAddress(address);
  if (!plain.includes(":")) return plain;
  const [head = "", tail = ""] = plain.split("::");
  const front = head.split(":").filter((part) => part !== "");
  const back = tail.split(":").filter((part) => part !== "");
  const zeros = plain.includes("::") ? Array.from({ length: 8 - front.length - back.length }, () => "0") : [];
  return `${[...front, ...zeros, ...back].slice(0, 4).join(":")}::/64`;
}
