/** What a video is told of its upload while that goes on. */
import type { WithDatabase } from "../../mixins/database/database.mixin.ts";
import { messageOf } from "../kernel/errors.ts";
import { call } from "../kernel/rpc.ts";
import { videos } from "../videos/contract.ts";
import type { Upload } from "./contract.ts";

/** The work that needs no more bytes than have come may begin. Nothing is lost when this is: with the last byte all of it does. */
export async function tellVideo({ broker, logger }: WithDatabase, upload: Upload, begins: boolean): Promise<void> {
  const { id, kind, state, video, offset, length } = upload;
  if (kind !== "whole" || state !== "open" || video === null || length === null) return;
  await call(broker, videos.grew, { id: video, upload: id, offset, length, begins }).catch((error: unknown) =>
    logger.info("a video was not told how far its upload is", { upload: id, video, reason: messageOf(error) }),
  );
}
