/**
 * What a fuzz run aims at, and what a request of it is: either one that an HTTP client can send, or bytes on a socket.
 * A request follows from the target, the seed and its number alone, so that any of them can be sent again by itself.
 */
import type { GraphQLSchema } from 'graphql';
import type { Random } from '../../../src/random.ts';

/** The tenant whose credentials the attackers hold. */
export interface FuzzTarget {
  readonly schema: GraphQLSchema;
  readonly adminKey: string;
  readonly serviceKey: string;
  /** Global ids that are there, of people, images, feedback. */
  readonly ids: readonly string[];
  /** The same people's externalIds. */
  readonly externalIds: readonly string[];
  /** The bytes of a good picture. */
  readonly picture: Buffer;
}

export interface HttpRequest {
  readonly via: 'http';
  readonly method: string;
  /** Path and query, as they stand in the request line. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | string | null;
}

export interface SocketRequest {
  readonly via: 'socket';
  readonly bytes: Buffer;
  /** Whether the sending half is closed after the bytes, or the connection left as it is. */
  readonly end: boolean;
}

export type FuzzRequest = HttpRequest | SocketRequest;

/** Draws one request of a kind. */
export type Generator = (random: Random, target: FuzzTarget) => FuzzRequest;

/** A GraphQL request with a JSON body as it is given. */
export function graphqlPost(key: string, body: Buffer | string, headers: Record<string, string> = {}): HttpRequest {
  return {
    ...{ via: 'http', method: 'POST', path: '/graphql', body },
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}`, ...headers },
  };
}

/** Mostly a program's key, at times the ADMIN's. */
export function someKey(random: Random, { adminKey, serviceKey }: FuzzTarget): string {
  return random.uniform() < 0.75 ? serviceKey : adminKey;
}

export function randomBytes(random: Random, count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, () => random.int(256)));
}
