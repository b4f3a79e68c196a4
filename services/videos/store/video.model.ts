/** The row of a video. One list of columns, for the model that moleculer-db reads by and for our own SQL. */
import { DataTypes, Model, type ModelAttributeColumnOptions, type ModelStatic, type Sequelize } from "sequelize";

export interface VideoRow {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly visibility: "public" | "unlisted" | "private";
  readonly owner: string | null;
  /** bigint, so a string. */
  readonly size: string;
  readonly storedStatus: "uploading" | "queued" | "processing" | "ready" | "failed";
  readonly revision: number;
  readonly edition: number;
  readonly duration: number | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly frameRateNum: number | null;
  readonly frameRateDen: number | null;
  readonly container: string | null;
  readonly videoCodec: string | null;
  readonly audioCodec: string | null;
  readonly thumbnailSize: string | null;
  readonly storyboardSize: string | null;
  readonly errorType: string | null;
  readonly errorMessage: string | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly deletedAt: Date | null;
}

const { ARRAY, BIGINT, DATE, DOUBLE, INTEGER, TEXT, UUID } = DataTypes;

const columns = {
  id: { type: UUID, field: "id", primaryKey: true },
  title: { type: TEXT, field: "title" },
  description: { type: TEXT, field: "description" },
  tags: { type: ARRAY(TEXT), field: "tags" },
  visibility: { type: TEXT, field: "visibility" },
  owner: { type: UUID, field: "owner_id" },
  size: { type: BIGINT, field: "source_size" },
  storedStatus: { type: TEXT, field: "status" },
  revision: { type: INTEGER, field: "revision" },
  edition: { type: INTEGER, field: "edition" },
  duration: { type: DOUBLE, field: "duration_s" },
  width: { type: INTEGER, field: "width" },
  height: { type: INTEGER, field: "height" },
  frameRateNum: { type: INTEGER, field: "frame_rate_num" },
  frameRateDen: { type: INTEGER, field: "frame_rate_den" },
  container: { type: TEXT, field: "container" },
  videoCodec: { type: TEXT, field: "video_codec" },
  audioCodec: { type: TEXT, field: "audio_codec" },
  thumbnailSize: { type: BIGINT, field: "thumbnail_size" },
  storyboardSize: { type: BIGINT, field: "storyboard_size" },
  errorType: { type: TEXT, field: "error_type" },
  errorMessage: { type: TEXT, field: "error_message" },
  createdAt: { type: DATE, field: "created_at" },
  updatedAt: { type: DATE, field: "updated_at" },
  deletedAt: { type: DATE, field: "deleted_at" },
} as const satisfies Record<keyof VideoRow, ModelAttributeColumnOptions & { field: string }>;

export const videoFields: readonly string[] = Object.keys(columns);

/** The columns under the names of VideoRow, for a `select` from `videos v`. */
export const videoColumns = Object.entries(columns)
  .map(([name, { field }]) => `v.${field} as "${name}"`)
  .join(", ");

/** A class of its own for each pool: Sequelize binds a model to the pool that it was made with. */
export function videoModel(db: Sequelize): ModelStatic<Model> {
  return class Video extends Model {}.init(columns, { sequelize: db, tableName: "videos", timestamps: false });
}
