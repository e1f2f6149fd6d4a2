/**
 * One request for the key set of a tenant's identity provider. The address is a tenant's setting, so it is not trusted:
 * https only, no redirect, little time and room, and no address but public ones, looked at again when connecting, so
 * that a name that changes its mind (DNS rebinding) reaches nothing inside. What is kept, and how long: keySets.ts.
 */
import { type LookupAddress, lookup as lookUpSystem } from 'node:dns';
import type { IncomingMessage } from 'node:http';
import { type RequestOptions, get as sendRequest } from 'node:https';
import type { LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { createLocalJWKSet, type JSONWebKeySet } from 'jose';

/** From the first packet to the last byte. */
const TIMEOUT_MS = 5_000;
/** Providers' sets are of 1 to 10 kB. */
const MAX_BYTES = 65_536;
/** Providers have two to ten, of which one or two are in use. */
const MAX_KEYS = 100;

/** The public keys of one provider, as jose looks them up. */
export type FindKey = ReturnType<typeof createLocalJWKSet>;

/** Every address of a name, or an error. */
export type LookUp = (
  host: string,
  answer: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

export interface FetchOptions {
  /** Hosts, as they stand in an address, that may be private. */
  readonly internalHosts: readonly string[];
  /** A certificate authority, as PEM, in place of the machine's. */
  readonly ca?: string | undefined;
  readonly lookUp?: LookUp | undefined;
  readonly timeoutMs?: number | undefined;
}

/** Why a key set could not be had. The message may be told to anyone: it says nothing of the network inside. */
export class KeySetError extends Error {}

/** Whether an IP address is one of the public internet's. */
function isPublic(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.parse(address).range() === 'unicast';
}

/** What is wrong with the address of a key set, or null. Names are looked up when connecting, not here. */
export function addressFault(address: string, internalHosts: readonly string[]): string | null {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url?.protocol !== 'https:') return 'it must be an https:// address';
  if (url.username !== '' || url.password !== '') return 'it must hold no user name and no password';
  if (address.includes('#')) return 'it must have no fragment (#…)';
  const host = hostOf(url);
  if (ipaddr.isValid(host) && !isPublic(host) && !internalHosts.includes(host)) {
    return `${host} is not an address of the public internet`;
  }
  return null;
}

/** The host in the one spelling that it has in an address: lower case, no brackets. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '');
}

/** Fetches a key set. Throws KeySetError, its cause being for the log alone. */
export async function fetchKeySet(address: string, options: FetchOptions): Promise<{ find: FindKey; bytes: number }> {
  const fault = addressFault(address, options.internalHosts);
  if (fault !== null) throw new KeySetError(fault);
  const text = await fetchText(new URL(address), options);
  return { find: toFindKey(text), bytes: text.length };
}

function toFindKey(text: string): FindKey {
  let set: JSONWebKeySet;
  let find: FindKey;
  try {
    set = JSON.parse(text) as JSONWebKeySet; // what it is instead, createLocalJWKSet refuses
    find = createLocalJWKSet(set);
  } catch (cause) {
    throw new KeySetError('what it answered is no key set (RFC 7517: {"keys": […]})', { cause });
  }
  if (set.keys.length <= MAX_KEYS) return find;
  throw new KeySetError(`it has ${set.keys.length} keys; at most ${MAX_KEYS} are taken`);
}

/** The body of a 200. Whatever happens, it is over within the time, and the connection is closed. */
async function fetchText(url: URL, { internalHosts, ca, lookUp, timeoutMs = TIMEOUT_MS }: FetchOptions) {
  const signal = AbortSignal.timeout(timeoutMs);
  const options: RequestOptions = {
    agent: false, // a connection of its own: a kept one would go past the look at its address
    headers: { accept: 'application/jwk-set+json, application/json' },
    rejectUnauthorized: true,
    signal,
    ...(ca === undefined ? {} : { ca }),
    ...(internalHosts.includes(hostOf(url)) ? {} : { lookup: lookUpPublic(lookUp) }),
  };
  try {
    return await new Promise<string>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
      const request = sendRequest(url, options, (response) => {
        readText(response)
          .then(resolve, reject)
          .finally(() => request.destroy());
      });
      request.on('error', reject);
    });
  } catch (cause) {
    if (cause instanceof KeySetError) throw cause;
    if (signal.aborted) throw new KeySetError(`it did not answer within ${timeoutMs / 1000} s`, { cause });
    // In the same words for a name that is not known, is private, or refuses: they would map the network inside.
    throw new KeySetError('it could not be reached over https at a public address', { cause });
  }
}

async function readText(response: IncomingMessage): Promise<string> {
  const { statusCode } = response;
  if (statusCode !== 200)
    throw new KeySetError(`it answered with status ${statusCode}; only 200 is taken, no redirect`);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new KeySetError(`it answered with more than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** What the socket is told of a name: its addresses, if all of them are public. It connects to these and no others. */
function lookUpPublic(lookUp: LookUp = lookUpAll): LookupFunction {
  return (host, { all }, answer) => {
    lookUp(host, (error, addresses) => {
      const inside = addresses?.find(({ address }) => !isPublic(address));
      const [first] = addresses ?? [];
      if (error) answer(error, []);
      else if (inside) answer(new Error(`${host} is ${inside.address}, which is no public address`), []);
      else if (!first) answer(new Error(`${host} has no address`), []);
      else if (all) answer(null, addresses);
      else answer(null, first.address, first.family);
    });
  };
}

const lookUpAll: LookUp = (host, answer) => lookUpSystem(host, { all: true }, answer);
