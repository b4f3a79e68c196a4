/** Asks the server what the page says, and shows what it answers. */
import type { Described, Parameter } from "./description.ts";
import { byId, h } from "../dom.ts";

/** An answer longer than this is of no use to a reader. */
const SHOWN_MAX = 20_000;

export function tryForm({ method, path, operation }: Described): HTMLElement {
  const inputs = operation.parameters.map((parameter) => ({ parameter, input: inputFor(parameter) }));
  const json = operation.requestBody?.content["application/json"] !== undefined;
  const types = Object.keys(operation.requestBody?.content ?? {}).filter((type) => !/json$|form-data$/.test(type));
  const file = types.length > 0 ? h("input", { type: "file", "aria-label": "The body: a file" }) : null;
  const body = json ? h("textarea", { rows: 4, spellcheck: "false", "aria-label": "JSON body", placeholder: "{ }" }) : null;
  const go = h("button", { type: "submit", class: "button small" }, `Send ${method}`);
  const result = h("div", { class: "result", "aria-live": "polite" });
  const fields = inputs.map(({ parameter, input }) => h("label", {}, parameter.name, input));
  const form = h("form", {}, ...fields, file ? h("label", {}, "the body", file) : null, body, go, result);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = inputs.map(({ parameter, input }) => ({ parameter, value: input.value }));
    void send(method, addressOf(path, given), { given, body: bodyOf(file?.files?.[0], types) ?? jsonOf(body?.value) }, result);
  });
  return h("details", { class: "try" }, h("summary", {}, "Try it"), form);
}

interface Given {
  readonly parameter: Parameter;
  readonly value: string;
}

function inputFor({ in: place, required, schema }: Parameter): HTMLInputElement {
  return h("input", { required: required && place === "path", spellcheck: "false", placeholder: [schema.type ?? ""].flat().join(" ") });
}

function addressOf(path: string, given: readonly Given[]): string {
  const at = (name: string): string => given.find(({ parameter }) => parameter.name === name)?.value ?? "";
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(at(name)));
  const query = new URLSearchParams(
    given.flatMap(({ parameter, value }) => (parameter.in === "query" && value !== "" ? [[parameter.name, value]] : [])),
  );
  return query.size > 0 ? `${filled}?${query}` : filled;
}

interface Body {
  readonly type: string;
  /** Of a file. */
  readonly name?: string;
  readonly content: Blob | string;
}

function jsonOf(text = ""): Body | undefined {
  return text === "" ? undefined : { type: "application/json", content: text };
}

/** With the file's own type where that is taken, else with the first that is one. */
function bodyOf(file: File | undefined, types: readonly string[]): Body | undefined {
  if (!file) return undefined;
  const said = file.name.endsWith(".srt") ? "application/x-subrip" : file.type;
  const isTaken = types.some((type) => type === said || (type.endsWith("/*") && said.startsWith(type.slice(0, -1))));
  return { type: isTaken ? said : (types.find((type) => !type.includes("*")) ?? said), name: file.name, content: file };
}

interface Sent {
  readonly given: readonly Given[];
  readonly body: Body | undefined;
}

async function send(method: string, address: string, { given, body }: Sent, result: HTMLElement): Promise<void> {
  const token = byId("token", HTMLInputElement).value;
  const said = given.flatMap(({ parameter, value }) =>
    parameter.in === "header" && value !== "" ? [[parameter.name, value] as const] : [],
  );
  const headers = {
    ...Object.fromEntries(said),
    ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
    ...(body ? { "content-type": body.type } : {}),
    ...(body?.name !== undefined && given.some(({ parameter }) => parameter.name === "X-Filename")
      ? { "x-filename": encodeURIComponent(body.name) }
      : {}),
  };
  result.replaceChildren(h("p", { class: "quiet" }, `${method} ${address}`));
  try {
    const response = await fetch(address, { method, headers, ...(body ? { body: body.content } : {}) });
    result.append(
      h("p", {}, h("code", { class: response.ok ? "good" : "bad" }, `${response.status} ${response.statusText}`)),
      await shown(response),
    );
  } catch (error) {
    result.append(h("p", { class: "reason" }, String(error)));
  }
}

async function shown(response: Response): Promise<HTMLElement> {
  const type = response.headers.get("content-type") ?? "";
  if (!/json|text|xml|mpegurl/.test(type))
    return h("p", { class: "quiet" }, `${type || "nothing"}, ${response.headers.get("content-length") ?? 0} bytes`);
  const text = await response.text();
  const pretty = type.includes("json") ? JSON.stringify(JSON.parse(text), null, 2) : text;
  return h("pre", {}, pretty.slice(0, SHOWN_MAX));
}
