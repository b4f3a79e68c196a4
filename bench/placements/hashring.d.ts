declare module "hashring" {
  export default class Ketama {
    constructor(servers: Record<string, { weight: number }>, algorithm: string, options: Record<string, unknown>);
    range(key: string, size: number, unique: boolean): string[];
  }
}
