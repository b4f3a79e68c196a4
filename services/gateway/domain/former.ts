/** The documents of the first TritonTube, for the application that was written for it. */
import type { VideoDocument } from "./documents.ts";

export interface FormerVideo {
  readonly id: string;
  /** The id as it stands in an address. Ids of today need no escaping. */
  readonly escapedId: string;
  readonly uploadTime: string;
  readonly uploadedAt: string;
  readonly title: string;
  readonly description: string;
  readonly duration?: number;
  readonly fileSize: number;
  readonly thumbnailUrl?: string;
  readonly manifestUrl?: string;
  readonly status: "processing" | "ready" | "error";
}

/** What is not there yet is left out: the application takes null for an address. */
export function formerVideo({ id, title, description, createdAt, duration, size, status, thumbnail }: VideoDocument): FormerVideo {
  return {
    id,
    escapedId: encodeURIComponent(id),
    uploadTime: createdAt,
    uploadedAt: createdAt,
    title,
    description,
    ...(duration === null ? {} : { duration }),
    fileSize: size,
    ...(thumbnail === null ? {} : { thumbnailUrl: `/thumbnail/${id}` }),
    ...(status === "ready" ? { manifestUrl: `/content/${id}/manifest.mpd` } : {}),
    status: status === "ready" ? "ready" : status === "failed" ? "error" : "processing",
  };
}

/** Whether an address is one of that time: an error there carries `message`, which is what the application shows. */
export function isFormer(path: string): boolean {
  return /^\/(?:api\/(?:videos|upload|delete)|content|thumbnail)(?:\/|$)/.test(path);
}
