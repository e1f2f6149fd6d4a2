/**
 * What the resolvers of one request work with: who asks, the platform, the request's own loaders and log. Made anew
 * for each request, within the tenant's session.
 */
import type { Caller } from '../domain/credentials.ts';
import { ServingVersion } from '../domain/models.ts';
import type { Platform } from '../domain/platform.ts';
import { createLoaders, type Loaders } from './loaders.ts';

/** As much of a logger as GraphQL needs. */
export interface Log {
  error(details: object, message: string): void;
}

export interface Context {
  readonly caller: Caller;
  readonly platform: Platform;
  readonly loaders: Loaders;
  readonly log: Log;
}

/** The context of one request, all of which is answered by one model version. */
export function createContext(shared: Platform, caller: Caller, log: Log): Context {
  const platform = { ...shared, serving: new ServingVersion() };
  return { caller, platform, loaders: createLoaders(platform), log };
}
