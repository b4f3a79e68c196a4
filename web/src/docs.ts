/** The API's documentation: the server's own description, set out to be read and tried. */
import { byId, h } from "./dom.ts";
import { tryForm } from "./docs/attempt.ts";
import type { Described, Description, Operation, Parameter } from "./docs/description.ts";
import { schemaView, type Schema } from "./docs/schema.ts";

const anchor = (text: string): string => text.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");

function show({ info, tags, paths, components }: Description): void {
  const all = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): Described => ({ method: method.toUpperCase(), path, operation })),
  );
  const chapters = tags.map((tag) => ({ ...tag, operations: all.filter(({ operation }) => operation.tags.includes(tag.name)) }));
  byId("chapters", HTMLElement).replaceChildren(
    ...chapters.map(({ name, operations }) =>
      h(
        "details",
        { open: true },
        h("summary", {}, name),
        h("ul", {}, ...operations.map(({ method, operation }) => linkTo(method, operation))),
      ),
    ),
  );
  byId("reference", HTMLElement).replaceChildren(
    h("h1", {}, `${info.title} API `, h("small", {}, info.version)),
    ...paragraphs(info.description),
    h("p", {}, h("a", { href: "/api/v1/openapi.json" }, "The description as OpenAPI 3.1")),
    ...chapters.flatMap(({ name, description, operations }) => [
      h("h2", { id: anchor(name) }, name),
      ...paragraphs(description),
      ...operations.map((each) => article(each, components.schemas)),
    ]),
  );
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

function linkTo(method: string, { operationId, summary }: Operation): HTMLElement {
  return h("li", {}, h("a", { href: `#${operationId}`, title: summary }, verb(method), h("span", {}, operationId)));
}

function verb(method: string): HTMLElement {
  return h("span", { class: `verb verb-${method.toLowerCase()}` }, method);
}

function article(each: Described, schemas: Readonly<Record<string, Schema>>): HTMLElement {
  const { method, path, operation } = each;
  const { operationId, summary, description, parameters, requestBody, responses } = operation;
  return h(
    "article",
    { id: operationId },
    h("h3", {}, verb(method), h("code", {}, path)),
    h("p", { class: "summary" }, summary),
    ...paragraphs(description),
    parameters.length > 0 ? section("Takes", parameterList(parameters)) : null,
    ...Object.entries(requestBody?.content ?? {}).map(([type, { schema }]) => section(`Body: ${type}`, schemaView(schema, schemas))),
    section("Answers", answerList(responses, schemas)),
    tryForm(each),
  );
}

function section(title: string, ...content: HTMLElement[]): HTMLElement {
  return h("section", {}, h("h4", {}, title), ...content);
}

function parameterList(parameters: readonly Parameter[]): HTMLElement {
  return h(
    "dl",
    { class: "fields" },
    ...parameters.flatMap(({ name, in: place, required, description = "", schema }) => [
      h("dt", {}, h("code", {}, name), h("span", { class: "quiet" }, `${place}${required ? "" : ", optional"}`)),
      h("dd", {}, ...marked(description), schemaView(schema, {})),
    ]),
  );
}

function answerList(responses: Operation["responses"], schemas: Readonly<Record<string, Schema>>): HTMLElement {
  return h(
    "div",
    { class: "answers" },
    ...Object.entries(responses).map(([status, { description, content = {} }]) =>
      h(
        "details",
        {},
        h(
          "summary",
          {},
          h("code", { class: Number(status) < 400 ? "good" : "bad" }, status),
          h("span", {}, ...marked(description.split("\n\n")[0] ?? "")),
        ),
        ...paragraphs(description),
        ...Object.entries(content).map(([type, { schema }]) => h("div", {}, h("p", { class: "quiet" }, type), schemaView(schema, schemas))),
      ),
    ),
  );
}

function paragraphs(text: string): HTMLElement[] {
  return text.split("\n\n").map((each) => h("p", {}, ...marked(each)));
}

/** Words between backticks are code: all of Markdown that the description uses. */
function marked(text: string): (HTMLElement | string)[] {
  return text.split("`").map((part, index) => (index % 2 === 1 ? h("code", {}, part) : part));
}

async function start(): Promise<void> {
  const response = await fetch("/api/v1/openapi.json");
  if (!response.ok) throw new Error(`The server answered ${response.status}.`);
  show((await response.json()) as Description);
}

start().catch((error: unknown) =>
  byId("reference", HTMLElement).replaceChildren(h("p", { class: "reason", role: "alert" }, String(error))),
);
