/**
 * Documents that are known by a hash: those of a manifest, which the operator trusts, and those that clients have
 * registered themselves (automatic persisted queries), each tenant's apart and in bounded memory.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { ApolloServerOptions, ApolloServerPlugin, BaseContext } from '@apollo/server';
import { type DocumentNode, GraphQLError, type GraphQLSchema, parse, validate } from 'graphql';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import { currentTenant } from '../database/client.ts';
import { PalateError } from '../errors.ts';

/** Memory for registered documents of all tenants; one that was dropped is registered again by the next who asks. */
const REGISTERED_BYTES = 32_000_000;
/**
 * Characters of documents that are kept parsed, of all tenants: some 300 of them. Parsed, each character takes 84 bytes
 * (each token links to the next), which Apollo's own store does not reckon with: 25 MB.
 */
const PARSED_CHARACTERS = 300_000;
/** Of an entry beside its text: key, map and object. */
const ENTRY_BYTES = 300;
/** What Apollo puts before the hash. */
const PREFIX = 'apq:';
const SHA256 = /^[0-9a-f]{64}$/;

/** As graphql-codegen and Relay write it: the documents by their hash. */
const PLAIN_MANIFEST = z.record(z.string(), z.string());
/** As @apollo/generate-persisted-query-manifest writes it. */
const APOLLO_MANIFEST = z.object({
  format: z.literal('apollo-persisted-query-manifest'),
  version: z.literal(1),
  operations: z.array(z.object({ id: z.string().min(1), body: z.string() })),
});

type KeyValueCache = NonNullable<
  Exclude<ApolloServerOptions<BaseContext>['persistedQueries'], false | undefined>['cache']
>;

/** Parsed and valid documents by their hash, so that one that is asked again is neither parsed nor validated again. */
export function parsedDocuments(
  characters = PARSED_CHARACTERS,
): NonNullable<ApolloServerOptions<BaseContext>['documentStore']> {
  const documents = new LRUCache<string, DocumentNode>({
    maxSize: characters,
    sizeCalculation: ({ loc }) => (loc?.source.body.length ?? 0) + ENTRY_BYTES,
  });
  return {
    get: async (hash) => documents.get(hash),
    set: async (hash, document) => void documents.set(hash, document),
    delete: async (hash) => documents.delete(hash),
  };
}

/** The trusted documents: their texts by id, and the hashes of the texts. */
export class TrustedDocuments {
  readonly #byId: ReadonlyMap<string, string>;
  readonly #hashes: ReadonlySet<string>;

  constructor(byId: ReadonlyMap<string, string>) {
    this.#byId = byId;
    this.#hashes = new Set([...byId.values()].map(sha256));
  }

  get(id: string): string | undefined {
    return this.#byId.get(id);
  }

  /** True for a text that is one of them, however it was asked for. */
  has(text: string): boolean {
    return this.#hashes.has(sha256(text));
  }
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/**
 * Reads a manifest. Throws BAD_USER_INPUT, naming the entry, where a hash is not its document's, or a document does not
 * parse or does not fit the schema.
 */
export async function readTrustedDocuments(path: string, schema: GraphQLSchema): Promise<TrustedDocuments> {
  const fault = (what: string, cause?: unknown) =>
    new PalateError('BAD_USER_INPUT', `PALATE_TRUSTED_DOCUMENTS: ${what}`, { cause });
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw fault(`"${path}" cannot be read (${cause.code}).`, cause);
  });
  const byId = new Map<string, string>();
  for (const [id, document] of entriesOf(text, path, fault)) {
    if (byId.has(id)) throw fault(`The entry ${id} is there twice.`);
    if (SHA256.test(id) && sha256(document) !== id) {
      throw fault(`The entry ${id} is the hash of another document; this one's is ${sha256(document)}.`);
    }
    const wrong = faultOf(document, schema);
    if (wrong) throw fault(`The document of the entry ${id} cannot be served: ${wrong}`);
    byId.set(id, document);
  }
  return new TrustedDocuments(byId);
}

function entriesOf(text: string, path: string, fault: (what: string, cause?: unknown) => PalateError) {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw fault(`"${path}" is no JSON: ${(cause as Error).message}.`, cause);
  }
  const apollo = APOLLO_MANIFEST.safeParse(json);
  if (apollo.success) return apollo.data.operations.map(({ id, body }) => [id, body] as const);
  const plain = PLAIN_MANIFEST.safeParse(json);
  if (plain.success && !('format' in plain.data)) return Object.entries(plain.data);
  throw fault(
    `"${path}" is no manifest: it reads {"<SHA-256 in hex>": "<document>", …}, or {"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id", "body"}, …]}.`,
  );
}

/** The first thing that is wrong with a document; null where nothing is. */
function faultOf(text: string, schema: GraphQLSchema): string | null {
  let document: DocumentNode;
  try {
    document = parse(text);
  } catch (error) {
    return (error as Error).message;
  }
  return validate(schema, document)[0]?.message ?? null;
}

/** What Apollo asks for persisted documents: the trusted first, then those of the session's tenant. */
export function documentsByHash(trusted: TrustedDocuments | null): KeyValueCache {
  const registered = new LRUCache<string, string>({
    maxSize: REGISTERED_BYTES,
    sizeCalculation: (text, key) => 2 * (text.length + key.length) + ENTRY_BYTES,
  });
  const keyOf = (key: string) => `${currentTenant()}:${key}`;
  return {
    get: async (key) => trusted?.get(key.slice(PREFIX.length)) ?? registered.get(keyOf(key)),
    set: async (key, text) => void registered.set(keyOf(key), text),
    delete: async (key) => registered.delete(keyOf(key)),
  };
}

/** Refuses every document that is none of the trusted: FORBIDDEN, before anything of it runs. */
export function onlyTrusted(trusted: TrustedDocuments): ApolloServerPlugin {
  return {
    async requestDidStart() {
      return {
        async didResolveOperation({ source }) {
          if (trusted.has(source)) return;
          throw new GraphQLError(
            'This service answers trusted documents only, and this is none of them: send one of its manifest, or its hash in extensions.persistedQuery.sha256Hash.',
            { extensions: { code: 'FORBIDDEN', http: { status: 403 } } },
          );
        },
      };
    },
  };
}
