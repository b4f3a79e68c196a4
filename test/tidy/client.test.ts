/** What the page believes of the API is what the API says of itself. */
import { description, type Description } from "../support/description.ts";
import { CLIENT_TYPES, clientTypes } from "./client.ts";
import { textOf } from "./sources.ts";

/** A description with one schema and one operation. */
function describing(schema: object, operation: object = {}): Description {
  const operations = { "/things/{id}": { get: { operationId: "getThing", parameters: [], security: [], responses: {}, ...operation } } };
  return { paths: operations, components: { schemas: { Thing: schema } } };
}

it("gives the page the types of the API's description; if not, run `npm run api:generate`", () => {
  expect(textOf(CLIENT_TYPES)).toBe(clientTypes(description));
});

it("tells what may be left away, what may be null, and what is one of several words", () => {
  const properties = {
    state: { type: "string", enum: ["on", "off"] },
    size: { type: ["integer", "null"] },
    parts: { type: "array", items: {} },
  };
  const text = clientTypes(describing({ type: "object", properties, required: ["state"] }));
  expect(text).toContain('  readonly state: "on" | "off";\n  readonly size?: number | null;\n  readonly parts?: readonly unknown[];\n');
});

it("has the operations that ask and answer in JSON, and no other", () => {
  const json = { "application/json": { schema: { $ref: "#/components/schemas/Thing" } } };
  const parameters = [{ name: "id", in: "path", required: true, schema: { type: "string" } }];
  const asked = "readonly asked: { readonly path: { readonly id: string; }; };";
  const of = (operation: object) =>
    clientTypes(describing({ type: "object" }, { parameters, ...operation }))
      .split("Operations {")[1]
      ?.replaceAll(/\s+/g, " ");
  expect(of({ responses: { 200: { content: json }, 404: {} } })).toBe(
    ` "GET /things/{id}": { ${asked} readonly answer: Thing; readonly told: never; }; } `,
  );
  expect(of({ responses: { 204: {} } })).toContain("readonly answer: undefined");
  expect(of({ responses: { 200: { content: { "video/mp4": {} } } } })).toBe("} ");
  expect(of({ requestBody: { content: { "video/mp4": {} } }, responses: { 204: {} } })).toBe("} ");
});

it("refuses to guess what a schema means that it cannot read", () => {
  expect(() => clientTypes(describing({ allOf: [] }))).toThrow("allOf");
  expect(() => clientTypes(describing({ type: "function" }))).toThrow("function");
});
