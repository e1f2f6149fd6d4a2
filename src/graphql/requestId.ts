/**
 * The id of the request that is being answered, for the errors that name it: Apollo makes some of them where it has no
 * context yet. src/http sets it; it is also in the log and in the response's x-request-id.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

const requestIds = new AsyncLocalStorage<string>();

/** Runs the work of one request. */
export function withRequestId<T>(requestId: string, work: () => T): T {
  return requestIds.run(requestId, work);
}

/** The id of the surrounding `withRequestId`; undefined outside of one. */
export function currentRequestId(): string | undefined {
  return requestIds.getStore();
}
