/** The disk protocol as its file has it: methods, messages and their comments. Reads what `buf lint` lets through, and nothing else. */
interface Method {
  readonly name: string;
  readonly request: string;
  readonly answer: string;
  readonly words: string;
}

interface Field {
  readonly message: string;
  readonly name: string;
  readonly number: string;
  readonly type: string;
  readonly words: string;
}

export interface Protocol {
  readonly methods: readonly Method[];
  /** A message without fields is one row, without a name. */
  readonly fields: readonly Field[];
}

const METHOD = /^rpc (\w+)\((stream )?(\w+)\) returns \((stream )?(\w+)\);$/;
const FIELD = /^((?:repeated |optional )?[\w.]+) (\w+) = (\d+);$/;
const FRAME = /^(?:syntax = .*|package .*|service \w+ \{|\}|)$/;

export function protocolOf(text: string): Protocol {
  const methods: Method[] = [];
  const fields: Field[] = [];
  let [message, oneof, comment]: [string, string, string[]] = ["", "", []];
  for (const line of text.split("\n").map((each) => each.trim())) {
    if (line.startsWith("//")) {
      comment.push(line.slice(2).trim());
      continue;
    }
    const words = comment.join(" ");
    comment = [];
    const [, rpc, many = "", request = "", manyAnswers = "", answer = ""] = METHOD.exec(line) ?? [];
    const [, type = "", field, number = ""] = FIELD.exec(line) ?? [];
    if (rpc !== undefined) methods.push({ name: rpc, request: many + request, answer: manyAnswers + answer, words });
    else if (field !== undefined)
      fields.push({ message, name: field, number, type: oneof === "" ? type : `${type} (one ${oneof})`, words });
    else if (line.startsWith("oneof ")) oneof = line.split(" ")[1] ?? "";
    else if (line.startsWith("message ")) {
      message = line.split(" ")[1] ?? "";
      if (line.endsWith("{}")) fields.push({ message, name: "", number: "", type: "", words });
    } else if (line === "}") oneof = "";
    else if (!FRAME.test(line)) throw new Error(`disk.proto has a line that this cannot read: ${line}`);
  }
  return { methods, fields };
}
