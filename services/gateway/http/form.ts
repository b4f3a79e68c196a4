/** Reads `multipart/form-data` (RFC 7578) as it comes: fields as text, files as streams, nothing on this machine's disk. */
import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Busboy, type BusboyHeaders, type BusboyInstance } from "@fastify/busboy";
import { errorType, failure } from "../../kernel/errors.ts";

export interface FormReader<T> {
  /** Takes a field, or throws to refuse the whole form. */
  field(name: string, value: string): void;
  /** Reads a file to its end. Its failure is the failure of the form. */
  file(name: string, filename: string | undefined, content: Readable): Promise<T>;
}

const FILES_MAX = 20;
/** 30 tags in fields of their own, and the few others. */
const FIELDS_MAX = 40;
/** A description of 5000 characters in UTF-8. */
const FIELD_BYTES_MAX = 20 * 1024;
const PART_HEADER_BYTES_MAX = 8 * 1024;

/** What boundaries, part headers and fields may add to the bytes of the files. */
export const FORM_OVERHEAD_BYTES = FIELDS_MAX * FIELD_BYTES_MAX + (FILES_MAX + FIELDS_MAX) * PART_HEADER_BYTES_MAX;

/** Answers what `file` made of each file, in the order of the form. Nothing is left running or open, however it ends. */
export async function readForm<T>(headers: IncomingHttpHeaders, body: Readable, reader: FormReader<T>): Promise<T[]> {
  const parser = openParser(headers);
  const work: Promise<T>[] = [];
  const files: Readable[] = [];
  let refusal: unknown;
  const refuse = (error: unknown): void => {
    refusal ??= error;
    body.destroy(error as Error);
  };
  parser.on("field", (name, value, _nameCut, valueCut) => {
    try {
      if (valueCut) throw invalid(name, `must have at most ${FIELD_BYTES_MAX} bytes`);
      reader.field(name, value);
    } catch (error) {
      refuse(error);
    }
  });
  parser.on("file", (name, content, filename) => {
    // The parser emits errors on streams that nobody may be reading any more.
    content.on("error", () => {});
    files.push(content);
    // It stood in the same piece of the body as the field that was refused.
    if (refusal !== undefined) return;
    const done = reader.file(name, filename, content);
    done.catch(refuse);
    work.push(done);
  });
  for (const limit of ["partsLimit", "filesLimit", "fieldsLimit"] as const) {
    parser.on(limit, () => refuse(invalid("file", `a form may have ${FILES_MAX} files and ${FIELDS_MAX} fields`)));
  }
  try {
    await pipeline(body, parser);
    return await Promise.all(work);
  } catch (error) {
    const reason = (refusal as Error | undefined) ?? failureOf(error);
    for (const file of files) file.destroy(reason);
    await Promise.allSettled(work);
    throw reason;
  }
}

function openParser(headers: IncomingHttpHeaders): BusboyInstance {
  try {
    return new Busboy({
      headers: headers as BusboyHeaders,
      limits: {
        files: FILES_MAX,
        fields: FIELDS_MAX,
        parts: FILES_MAX + FIELDS_MAX,
        fieldSize: FIELD_BYTES_MAX,
        headerSize: PART_HEADER_BYTES_MAX,
        headerPairs: 32,
      },
      isPartAFile: (name, _type, filename) => name === "file" || filename !== undefined,
    });
  } catch (error) {
    throw failureOf(error);
  }
}

/** What is not of our table came out of the parser, and is about the form that it was given. */
function failureOf(error: unknown): Error {
  if (errorType(error) !== undefined) return error as Error;
  return failure("INVALID_REQUEST", "The multipart body is broken, or ends before its last boundary.", { cause: error });
}

function invalid(path: string, message: string): Error {
  return failure("INVALID_REQUEST", `The form is not valid: ${path} ${message}.`, { fields: [{ path, message }] });
}
