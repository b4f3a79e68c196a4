import * as fc from "fast-check";
import { dataHead, dataOf, diskService } from "../../../proto/disk.ts";
import { DiskServiceService, type PutChunkRequest } from "../../../proto/gen/tritontube/disk/v1/disk.ts";

const { requestSerialize: encode, requestDeserialize: decode } = diskService.putChunk;
const stock = DiskServiceService.putChunk;

/** What grpc-js makes of a message: it asks for the length, makes a frame, and has the message copied behind the head. */
function framed(message: Buffer): Buffer {
  const frame = Buffer.alloc(message.length + 5);
  message.copy(frame, 5);
  return frame.subarray(5);
}

const lengths = fc.oneof(fc.nat(300), fc.constantFrom(127, 128, 16_383, 16_384, 262_143, 262_144));
const messages: fc.Arbitrary<PutChunkRequest> = fc.oneof(
  lengths.map((length) => ({ part: { $case: "data" as const, value: Buffer.alloc(length, 0x5a) } })),
  fc
    .record({ size: fc.nat(), epoch: fc.maxSafeNat() })
    .map((header) => ({ part: { $case: "header" as const, value: { sha256: Buffer.alloc(32, 1), ...header } } })),
  fc.constant({ part: { $case: "commit" as const, value: {} } }),
  fc.constant({ part: undefined }),
);

describe("a bulk message", () => {
  it("is on the wire what the generated code would have written", () => {
    fc.assert(fc.property(messages, (message) => expect(framed(encode(message)).equals(stock.requestSerialize(message))).toBe(true)));
  });

  it("is read as the generated code would have read it", () => {
    fc.assert(
      fc.property(messages, (message) => {
        const bytes = stock.requestSerialize(message);
        expect(stock.requestSerialize(decode(bytes)).equals(bytes)).toBe(true);
      }),
    );
  });

  it("is read from any bytes as the generated code reads them", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (random) => {
        const bytes = Buffer.from([18, ...random]);
        const read = (reader: (input: Buffer) => PutChunkRequest) => {
          try {
            return reader(bytes);
          } catch {
            return "refused";
          }
        };
        expect(read(decode)).toEqual(read(stock.requestDeserialize));
      }),
      { numRuns: 2000 },
    );
  });

  it("is not copied when it is data", () => {
    const bytes = Buffer.concat([dataHead(3), Buffer.from("abc")]);
    expect(dataOf(bytes)?.buffer).toBe(bytes.buffer);
  });
});
