/** moleculer-db on the pool that `database.mixin.ts` opened: a service reads single rows with `this.getById` and `this.transformDocuments`. */
import type { Context, ServiceSchema, ServiceSettingSchema } from "moleculer";
import DbService from "moleculer-db";
import SequelizeAdapter from "moleculer-db-adapter-sequelize";
import type { Model, ModelStatic } from "sequelize";
import type { Database } from "./connection.ts";
import { databaseMixin, type WithDatabase } from "./database.mixin.ts";
import { databaseFailure } from "./failures.ts";

/** What a service with this mixin may use of moleculer-db. */
export interface WithEntity extends WithDatabase {
  getById(id: string): Promise<object | null>;
  transformDocuments<T>(ctx: Context | null, params: object, row: object): Promise<T>;
}

type Connected = SequelizeAdapter & { service: WithDatabase; db: Database; model: ModelStatic<Model> };

/**
 * Moleculer clones schemas deeply, and a Sequelize instance in one becomes a second pool; with an open socket in it the service never starts and
 * ignores SIGTERM (seen). So nothing in this adapter can be cloned: it takes the pool of its service when that starts, and leaves it open at the end.
 */
class SharedSequelizeAdapter extends SequelizeAdapter {
  override async connect(this: Connected): Promise<void> {
    this.db = this.service.db;
    this.model = (this.service.schema as ServiceSchema & EntitySchema).model(this.db);
  }

  override async disconnect(): Promise<void> {}

  override async findById(this: Connected, id: string): Promise<object> {
    try {
      return (await this.model.findByPk(id)) as object;
    } catch (error) {
      throw databaseFailure(error);
    }
  }
}

interface EntitySchema {
  /** The row that the service is about, as a Sequelize model of the given pool; the table is made by migrations, never by sync(). */
  model: (db: Database) => ModelStatic<Model>;
}

/**
 * moleculer-db without its actions: they would be public, their `rest` and cache would be merged into ours of the same name, and their queries reach
 * any column. And without its start, which asks a database that is away for ever and keeps the service from ever failing.
 */
export function entityMixin({ model, fields }: EntitySchema & { fields: readonly string[] }): Partial<ServiceSchema> {
  const { settings, methods, created } = DbService as unknown as Pick<ServiceSchema, "settings" | "methods" | "created">;
  const schema = {
    mixins: [databaseMixin],
    settings: { ...settings, idField: "id", fields: [...fields] } as ServiceSettingSchema,
    methods: methods ?? {},
    adapter: new SharedSequelizeAdapter([]),
    model,
    created: created ?? [],
    async started(this: unknown) {
      await (this as { connect(): Promise<void> }).connect();
    },
  };
  return schema;
}
