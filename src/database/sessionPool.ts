/**
 * Connections whose lone queries travel with the settings that they run under: both in one message, which PostgreSQL
 * runs as one transaction. BEGIN, settings, query and COMMIT one after the other would be four journeys. It knows what a
 * setting is called, not what it means.
 */
import pg from 'pg';

/** Values of a transaction's settings: app.tenant_id, app.user_id, app.operator. */
export type Settings = readonly [tenantId: string, userId: string, operator: string];

/** `true`: for this transaction only, so that a connection goes back to the pool knowing nobody. */
export const SET_SETTINGS =
  "SELECT set_config('app.tenant_id', $1, true), set_config('app.user_id', $2, true), set_config('app.operator', $3, true)";
const STATEMENT = 'palate_settings';

/** A pool whose `query` asks for the settings of each query; what `connect` hands out is a connection as any other. */
export class SessionPool extends pg.Pool {
  /** @param settings of the surrounding session; what it throws is thrown before anything is sent */
  constructor(options: pg.PoolConfig, settings: () => Settings) {
    super({ ...options, onConnect: prepareSettings });
    this.query = ((query: string | pg.QueryConfig) =>
      this.#query(typeof query === 'string' ? { text: query } : query, settings())) as never;
  }

  /** pg's own `query` closes the connection after every error, be it a value that does not fit. */
  async #query(query: pg.QueryConfig, settings: Settings): Promise<pg.QueryResult> {
    const connection = await this.connect();
    connection.on('error', ignored);
    let broken: Error | undefined;
    try {
      return await new Promise<pg.QueryResult>((resolve, reject) => {
        const callback = (error: Error | null, result: pg.QueryResult) => (error ? reject(error) : resolve(result));
        connection.query(new SessionQuery({ ...query, callback }, settings));
      });
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || error.severity === 'FATAL') broken = error as Error;
      throw error;
    } finally {
      connection.off('error', ignored);
      connection.release(broken);
    }
  }
}

/** A connection that breaks fails its query too, which tells. */
const ignored = (): void => {};

/** Awaited before the connection is handed out: from then on the statement is there to be bound. */
async function prepareSettings(connection: pg.ClientBase): Promise<void> {
  await connection.query({ name: STATEMENT, text: SET_SETTINGS, values: ['', '', ''] });
}

/** What pg's query does as its messages are written and read; its types leave it out. */
interface Messages {
  bind(message: { statement: string; values: Settings }): void;
  execute(message: object): void;
}
type AnsweredQuery = pg.QueryConfig & { callback: (error: Error | null, result: pg.QueryResult) => void };
interface QueryProtocol extends pg.Submittable {
  prepare(connection: Messages): void;
  requiresPreparation(): boolean;
  handleDataRow(row: unknown): void;
  handleCommandComplete(message: unknown, connection: Messages): void;
}
const Query = pg.Query as unknown as new (config: AnsweredQuery) => QueryProtocol;

/** A query behind its settings. The first answer is that of the settings, and nobody's to read. */
class SessionQuery extends Query {
  readonly #settings: Settings;
  #set = false;

  constructor(config: AnsweredQuery, settings: Settings) {
    super(config);
    this.#settings = settings;
  }

  /** Text alone would be sent as a message of its own, which knows no settings. */
  override requiresPreparation(): boolean {
    return true;
  }

  override prepare(connection: Messages): void {
    connection.bind({ statement: STATEMENT, values: this.#settings });
    connection.execute({});
    super.prepare(connection);
  }

  override handleDataRow(row: unknown): void {
    if (this.#set) super.handleDataRow(row);
  }

  override handleCommandComplete(message: unknown, connection: Messages): void {
    if (this.#set) super.handleCommandComplete(message, connection);
    this.#set = true;
  }
}
