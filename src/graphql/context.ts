/**
 * What the resolvers of one request work with: who asks, the platform, the request's own loaders and log. Made anew
 * for each request, and for each event of a subscription, within the tenant's session.
 */
import type { ExecutionArgs } from 'graphql';
import type { Caller } from '../domain/credentials.ts';
import { type Patience, ServingVersion } from '../domain/models.ts';
import type { Platform } from '../domain/platform.ts';
import { createLoaders, type Loaders } from './loaders.ts';

/** As much of a logger as GraphQL needs. */
export interface Log {
  error(details: object, message: string): void;
}

/** What a subscription is answered on. */
export interface Stream {
  /** Aborted when nobody is to be answered any more: what waits for the next event gives up then. */
  readonly signal: AbortSignal;
  /** The operation, once it has passed every check and is paid. */
  admitted: Admitted | null;
}

/** An operation that may be answered, as graphql-js executes it, and its points. */
export interface Admitted extends Pick<ExecutionArgs, 'schema' | 'document' | 'operationName' | 'variableValues'> {
  readonly cost: number;
}

export interface Context {
  readonly caller: Caller;
  readonly platform: Platform;
  readonly loaders: Loaders;
  readonly log: Log;
  /** Where a subscription is asked for; null for every other request. */
  readonly stream: Stream | null;
}

/** The context of one request, or of one event of a subscription, all of which is answered by one model version. */
export function createContext(
  shared: Platform,
  caller: Caller,
  log: Log,
  patience: Patience,
  stream: Stream | null = null,
): Context {
  const platform = { ...shared, serving: new ServingVersion(), patience };
  return { caller, platform, loaders: createLoaders(platform), log, stream };
}
