// The browser's storage for this page: one IndexedDB database, written in transactions, each whole or not at all.

import { UserError } from "../src/errors.ts";

const NAME = "microgpt-webgpu";
const TABLES = ["form", "items", "data"] as const;
/** A browser that neither opens the database nor refuses it is not waited for any longer. */
const PATIENCE_MS = 3000;

export type Table = (typeof TABLES)[number];

/** An entry to be written, or where there is no value, removed. */
export interface Change {
  table: Table;
  key: string;
  value?: unknown;
}

/** The storage is full, closed or not there; its message is a part of a sentence. */
export class StoreError extends UserError {}

export class Store {
  private readonly database: IDBDatabase;

  private constructor(database: IDBDatabase) {
    this.database = database;
    // Another tab, with a newer version of the page, may want to change it.
    database.onversionchange = () => database.close();
  }

  /** @throws StoreError where the browser keeps nothing */
  static async open(): Promise<Store> {
    const opening = new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open(NAME, 1);
      request.onupgradeneeded = () => {
        for (const table of TABLES) request.result.createObjectStore(table);
      };
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
      setTimeout(() => reject(new Error("it does not answer")), PATIENCE_MS);
    });
    return new Store(await opening.catch((error) => refuse(error)));
  }

  /** @throws StoreError */
  get(table: Table, key: string): Promise<unknown> {
    return this.transact([table], "readonly", (tables) => tables[table].get(key));
  }

  /** All keys and values of a table. @throws StoreError */
  async all(table: Table): Promise<[key: string, value: unknown][]> {
    const [keys, values] = await Promise.all([
      this.transact([table], "readonly", (tables) => tables[table].getAllKeys()),
      this.transact([table], "readonly", (tables) => tables[table].getAll()),
    ]);
    return keys.map((key, i) => [String(key), values[i]]);
  }

  /** All of the changes, or none. @throws StoreError */
  async write(changes: readonly Change[]): Promise<void> {
    const touched = [...new Set(changes.map(({ table }) => table))];
    await this.transact(touched, "readwrite", (tables) => {
      for (const { table, key, value } of changes) {
        if (value === undefined) tables[table].delete(key);
        else tables[table].put(value, key);
      }
    });
  }

  /** The result of the last request, once all of them have lasted. */
  private transact<T>(
    touched: readonly Table[],
    mode: IDBTransactionMode,
    action: (tables: Record<Table, IDBObjectStore>) => IDBRequest<T> | void,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      // strict: a power cut is no reload, but costs no more than one.
      const transaction = this.database.transaction(touched, mode, { durability: "strict" });
      const tables = Object.fromEntries(
        touched.map((table) => [table, transaction.objectStore(table)]),
      ) as Record<Table, IDBObjectStore>;
      const request = action(tables);
      transaction.oncomplete = () => resolve(request?.result as T);
      transaction.onabort = () => reject(transaction.error ?? request?.error);
    }).catch((error) => refuse(error));
  }
}

function refuse(error: unknown): never {
  const { name, message } = error as DOMException;
  throw new StoreError(
    name === "QuotaExceededError"
      ? "the browser's storage for this page is full; removing models makes room, and a model can be downloaded"
      : `the browser's storage for this page failed (${message || name})`,
  );
}
