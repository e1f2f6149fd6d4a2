/**
 * Every setting of the service: read once from the environment, checked, with its default, its unit and the line
 * that documents it. docs/configuration.md is this table. No other file reads a setting; `PALATE_DEBUG`
 * is the command line's (commands/program.ts).
 */
import { z } from 'zod';
import { PalateError } from './errors.ts';

interface SettingOf<T> {
  /** The environment variable. */
  readonly variable: string;
  /** What it is for, in one sentence or two. */
  readonly doc: string;
  /** What is allowed, in words: it stands in the message to who set another value. */
  readonly allowed: string;
  /** The unit of a number. */
  readonly unit?: string;
  /** The value where the variable is unset or empty; null for "none", which `doc` explains. */
  readonly default: T;
  /** True where the value must never be logged or shown. */
  readonly secret?: boolean;
  readonly parse: z.ZodType<T, string>;
}

const setting = <T>(definition: SettingOf<T>): SettingOf<T> => definition;

/** A whole number of the range, written in digits. */
function wholeNumber(least: number, most: number) {
  return z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number)
    .refine((value) => value >= least && value <= most);
}

const range = (least: number, most: number) => `a whole number from ${least} to ${most}`;

/** An address of one of the protocols, without a trailing slash, so that paths can be appended. */
function address(...protocols: string[]) {
  return z
    .string()
    .refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol))
    .transform((text) => text.replace(/\/+$/, ''));
}

/** on or off. */
const ON_OFF = 'on or off';
const onOff = z.enum(['on', 'off']).transform((text) => text === 'on') as z.ZodType<boolean, string>;

/** Exact origins, comma between: each is compared letter by letter with what a browser sends. */
const origins = z
  .string()
  .transform((text) => text.split(',').map((origin) => origin.trim()))
  .refine((list) => list.every((origin) => URL.canParse(origin) && isOrigin(new URL(origin), origin)));

function isOrigin({ protocol, origin }: URL, text: string): boolean {
  return /^https?:$/.test(protocol) && origin === text;
}

/** Hosts, comma between, in the spelling that they have in an address: lower case, IPv6 shortened and without brackets. */
const hosts = z
  .string()
  .transform((text) => text.split(',').map((host) => toUrl(host.trim())))
  .refine((urls) => urls.every((url) => url !== null && url.hostname !== ''))
  .transform((urls) => urls.flatMap((url) => url?.hostname.replace(/^\[|\]$/g, '') ?? []));

function toUrl(host: string): URL | null {
  if (!/^[A-Za-z0-9.:_-]+$/.test(host)) return null;
  const address = host.includes(':') ? `https://[${host}]` : `https://${host}`;
  return URL.canParse(address) ? new URL(address) : null;
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
const EXECUTION_PROVIDERS = ['auto', 'cpu', 'webgpu', 'cuda'] as const;

/** The table. Its keys are the fields of {@link Config}. */
export const SETTINGS = {
  port: setting<number>({
    variable: 'PORT',
    doc: 'The TCP port to listen on; 0 takes any free one.',
    allowed: range(0, 65_535),
    default: 4000,
    parse: wholeNumber(0, 65_535),
  }),
  host: setting<string>({
    variable: 'HOST',
    doc: 'The address to listen on. 0.0.0.0 serves the network: put TLS in front of it.',
    allowed: 'an IP address or a host name',
    default: '127.0.0.1',
    parse: z.string().regex(/^[A-Za-z0-9.:_-]+$/),
  }),
  dataDirectory: setting<string>({
    variable: 'PALATE_DATA_DIR',
    doc: 'The folder of the embedded database, of the pictures, of the models, of trainings under way and of the link-signing key.',
    allowed: 'a path',
    default: './.palate',
    parse: z.string(),
  }),
  s3Bucket: setting<string | null>({
    variable: 'PALATE_S3_BUCKET',
    doc: 'A bucket of an S3-compatible server, for the pictures and models of all replicas. Unset, they lie in PALATE_DATA_DIR.',
    allowed: 'the name of a bucket',
    default: null,
    parse: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/),
  }),
  s3Prefix: setting<string | null>({
    variable: 'PALATE_S3_PREFIX',
    doc: 'What stands before pictures/ and models/ in the bucket, where it holds other things too.',
    allowed: 'a path of letters, digits, ., _ and -, without . and ..',
    default: null,
    parse: z
      .string()
      .max(500)
      .regex(/^(?!\.{1,2}(\/|$))[\w.-]+(\/(?!\.{1,2}(\/|$))[\w.-]+)*\/?$/)
      .transform((text) => text.replace(/\/$/, '')),
  }),
  s3Endpoint: setting<string | null>({
    variable: 'PALATE_S3_ENDPOINT',
    doc: 'The address of the server, without the bucket: of MinIO, Garage, R2 and others. Unset, that of AWS in the region.',
    allowed: 'an http:// or https:// address without a name and password in it',
    default: null,
    parse: address('http:', 'https:').refine((text) => /^https?:\/\/[^@?#]*$/.test(text)),
  }),
  s3Region: setting<string>({
    variable: 'PALATE_S3_REGION',
    doc: "The bucket's region; other servers than AWS say what they take.",
    allowed: 'letters, digits and -',
    default: 'us-east-1',
    parse: z.string().regex(/^[A-Za-z0-9-]{1,60}$/),
  }),
  s3PathStyle: setting<boolean | null>({
    variable: 'PALATE_S3_PATH_STYLE',
    doc: 'Whether addresses have the bucket in their path instead of before the host. Unset, they have with PALATE_S3_ENDPOINT.',
    allowed: ON_OFF,
    default: null,
    parse: onOff,
  }),
  s3AccessKeyId: setting<string | null>({
    variable: 'PALATE_S3_ACCESS_KEY_ID',
    doc: "The id of the key to the bucket. Unset, credentials are those of the environment: AWS's variables, its files, or the machine's role.",
    allowed: 'up to 500 characters without spaces',
    default: null,
    secret: true,
    parse: z.string().regex(/^[!-~]{1,500}$/),
  }),
  s3SecretAccessKey: setting<string | null>({
    variable: 'PALATE_S3_SECRET_ACCESS_KEY',
    doc: 'The secret of the key to the bucket.',
    allowed: 'up to 500 characters without spaces',
    default: null,
    secret: true,
    parse: z.string().regex(/^[!-~]{1,500}$/),
  }),
  databaseUrl: setting<string | null>({
    variable: 'DATABASE_URL',
    doc: 'A PostgreSQL server of your own (15 or newer), as a role that may create roles and tables; unset, one is run under PALATE_DATA_DIR.',
    allowed: 'a postgres:// or postgresql:// address',
    default: null,
    secret: true,
    parse: address('postgres:', 'postgresql:'),
  }),
  databaseConnections: setting<number>({
    variable: 'PALATE_DATABASE_CONNECTIONS',
    doc: 'The most connections that this process holds for requests.',
    allowed: range(1, 1000),
    unit: 'connections',
    default: 10,
    parse: wholeNumber(1, 1000),
  }),
  publicUrl: setting<string | null>({
    variable: 'PALATE_PUBLIC_URL',
    doc: 'The address under which clients reach the service: what Image.url begins with. Unset, it is http://HOST:PORT.',
    allowed: 'an http:// or https:// address',
    default: null,
    parse: address('http:', 'https:'),
  }),
  corsOrigins: setting<readonly string[] | null>({
    variable: 'PALATE_CORS_ORIGINS',
    doc: 'The origins whose pages may call the API from a browser. Unset, no other origin may.',
    allowed: 'a list of exact origins, comma between, such as https://app.example,http://localhost:5173; * is none',
    default: null,
    parse: origins,
  }),
  signingKey: setting<string | null>({
    variable: 'PALATE_SIGNING_KEY',
    doc: "Signs picture addresses and encrypts tenants' token secrets; the same on every replica. Unset, a random one is made and kept in PALATE_DATA_DIR.",
    allowed: 'at least 32 characters',
    default: null,
    secret: true,
    parse: z.string().min(32),
  }),
  maxUploadBytes: setting<number>({
    variable: 'PALATE_MAX_UPLOAD_BYTES',
    doc: 'The largest picture file taken by POST /images.',
    allowed: range(1_000, 1_000_000_000),
    unit: 'bytes',
    default: 20_000_000,
    parse: wholeNumber(1_000, 1_000_000_000),
  }),
  maxPixels: setting<number>({
    variable: 'PALATE_MAX_PIXELS',
    doc: 'The most pixels (width × height) a picture may have: what a decompression bomb runs into.',
    allowed: range(1, 268_402_689),
    unit: 'pixels',
    default: 50_000_000,
    parse: wholeNumber(1, 268_402_689), // sharp's own limit, 0x3FFF × 0x3FFF
  }),
  maxPendingImages: setting<number>({
    variable: 'PALATE_MAX_PENDING_IMAGES',
    doc: 'The most images of one tenant that may wait to be encoded; beyond it POST /images and new prompts are OVERLOADED until some have been.',
    allowed: range(1_000, 10_000_000),
    unit: 'images',
    default: 10_000,
    parse: wholeNumber(1_000, 10_000_000),
  }),
  maxQueryCost: setting<number>({
    variable: 'PALATE_MAX_QUERY_COST',
    doc: 'The most points one GraphQL operation may cost; docs/api.md says what costs what.',
    allowed: range(100, 10_000_000),
    unit: 'points',
    default: 20_000,
    parse: wholeNumber(100, 10_000_000),
  }),
  maxQueryTokens: setting<number>({
    variable: 'PALATE_MAX_QUERY_TOKENS',
    doc: 'The most lexical tokens one GraphQL document may have.',
    allowed: range(100, 100_000),
    unit: 'tokens',
    default: 2_000,
    parse: wholeNumber(100, 100_000),
  }),
  maxQueryDepth: setting<number>({
    variable: 'PALATE_MAX_QUERY_DEPTH',
    doc: 'The most fields that may stand within each other in one GraphQL operation, those of its fragments included.',
    allowed: range(5, 100),
    unit: 'fields',
    default: 15,
    parse: wholeNumber(5, 100),
  }),
  maxQueryAliases: setting<number>({
    variable: 'PALATE_MAX_QUERY_ALIASES',
    doc: 'The most aliases in one GraphQL operation; those of a fragment count as often as it is spread.',
    allowed: range(0, 10_000),
    unit: 'aliases',
    default: 100,
    parse: wholeNumber(0, 10_000),
  }),
  trustedDocuments: setting<string | null>({
    variable: 'PALATE_TRUSTED_DOCUMENTS',
    doc: 'A manifest of GraphQL documents that clients may name by their hash; docs/api.md says what is in it.',
    allowed: 'a path',
    default: null,
    parse: z.string(),
  }),
  onlyTrustedDocuments: setting<boolean>({
    variable: 'PALATE_ONLY_TRUSTED_DOCUMENTS',
    doc: 'Refuses every GraphQL document but those of PALATE_TRUSTED_DOCUMENTS.',
    allowed: ON_OFF,
    default: false,
    parse: onOff,
  }),
  environment: setting<string>({
    variable: 'NODE_ENV',
    doc: 'production turns introspection off and leaves what the schema would suggest out of errors.',
    allowed: 'a word',
    default: 'development',
    parse: z.string().regex(/^\w+$/),
  }),
  introspection: setting<boolean | null>({
    variable: 'PALATE_INTROSPECTION',
    doc: 'Whether clients may ask for the schema. Unset, they may, but not in production.',
    allowed: ON_OFF,
    default: null,
    parse: onOff,
  }),
  maxRequestsInFlight: setting<number>({
    variable: 'PALATE_MAX_REQUESTS_IN_FLIGHT',
    doc: 'The most requests that this process answers at once, and one tenant half of them; beyond it they are OVERLOADED.',
    allowed: range(2, 100_000),
    unit: 'requests',
    default: 200,
    parse: wholeNumber(2, 100_000),
  }),
  batchWaitMs: setting<number>({
    variable: 'PALATE_BATCH_WAIT_MS',
    doc: 'How long scores wait for those of other requests, to run through the model together. 0 is no longer than the model is busy.',
    allowed: range(0, 1000),
    unit: 'milliseconds',
    default: 2,
    parse: wholeNumber(0, 1000),
  }),
  maxQueuedScores: setting<number>({
    variable: 'PALATE_MAX_QUEUED_SCORES',
    doc: 'The most scores that may wait for one model, and half of them for one tenant; beyond it requests are OVERLOADED.',
    allowed: range(1_000, 10_000_000),
    unit: 'scores',
    default: 64_000,
    parse: wholeNumber(1_000, 10_000_000),
  }),
  maxSubscriptions: setting<number>({
    variable: 'PALATE_MAX_SUBSCRIPTIONS',
    doc: 'The most subscriptions that this process holds open, and one tenant half of them; beyond it they are OVERLOADED.',
    allowed: range(2, 100_000),
    unit: 'subscriptions',
    default: 200,
    parse: wholeNumber(2, 100_000),
  }),
  receiveSeconds: setting<number>({
    variable: 'PALATE_RECEIVE_SECONDS',
    doc: 'How long a client may take to send a request, its body included: raise it for large files over slow lines.',
    allowed: range(1, 3600),
    unit: 'seconds',
    default: 60,
    parse: wholeNumber(1, 3600),
  }),
  requestSeconds: setting<number>({
    variable: 'PALATE_REQUEST_SECONDS',
    doc: 'How long the service works on a request, once it is received, before it answers OVERLOADED.',
    allowed: range(1, 3600),
    unit: 'seconds',
    default: 30,
    parse: wholeNumber(1, 3600),
  }),
  personPointsPerMinute: setting<number>({
    variable: 'PALATE_PERSON_POINTS_PER_MINUTE',
    doc: "Cost points a minute of each person who asks with a token of their own; they count among the tenant's too.",
    allowed: range(1, 2_147_483_647),
    unit: 'points',
    default: 30_000,
    parse: wholeNumber(1, 2_147_483_647),
  }),
  internalKeySetHosts: setting<readonly string[] | null>({
    variable: 'PALATE_INTERNAL_KEY_SET_HOSTS',
    doc: 'Hosts within your network that key sets of identity providers may be fetched from. Unset, public addresses alone.',
    allowed: 'a list of host names or IP addresses, comma between, without port',
    default: null,
    parse: hosts,
  }),
  userStateCacheBytes: setting<number>({
    variable: 'PALATE_USER_STATE_CACHE_BYTES',
    doc: 'Memory for the states of people scored lately (some 50 kB each); what does not fit is computed again.',
    allowed: range(0, 64_000_000_000),
    unit: 'bytes',
    default: 256_000_000,
    parse: wholeNumber(0, 64_000_000_000),
  }),
  itemVectorCacheBytes: setting<number>({
    variable: 'PALATE_ITEM_VECTOR_CACHE_BYTES',
    doc: 'Memory for the vectors of images scored lately (some 900 bytes each); what does not fit is read again.',
    allowed: range(0, 64_000_000_000),
    unit: 'bytes',
    default: 256_000_000,
    parse: wholeNumber(0, 64_000_000_000),
  }),
  vectorIndexBytes: setting<number>({
    variable: 'PALATE_VECTOR_INDEX_BYTES',
    doc: "Memory for what images are recommended and compared by (some kilobyte each), and again for people's profiles (a million take some 750 MB); what does not fit is read again.",
    allowed: range(0, 64_000_000_000),
    unit: 'bytes',
    default: 1_000_000_000,
    parse: wholeNumber(0, 64_000_000_000),
  }),
  modelCacheBytes: setting<number>({
    variable: 'PALATE_MODEL_CACHE_BYTES',
    doc: "Memory for the models of tenants' own (some 20 MB each); what does not fit is loaded again, in a third of a second.",
    allowed: range(0, 64_000_000_000),
    unit: 'bytes',
    default: 512_000_000,
    parse: wholeNumber(0, 64_000_000_000),
  }),
  executionProvider: setting<(typeof EXECUTION_PROVIDERS)[number]>({
    variable: 'PALATE_EXECUTION_PROVIDER',
    doc: 'What runs the models. auto: CUDA if it is installed and works, else WebGPU on a real GPU, else the processor (cpu).',
    allowed: `one of ${EXECUTION_PROVIDERS.join(', ')}`,
    default: 'auto',
    parse: z.enum(EXECUTION_PROVIDERS) as z.ZodType<(typeof EXECUTION_PROVIDERS)[number], string>,
  }),
  engineMemoryBytes: setting<number>({
    variable: 'PALATE_ENGINE_MEMORY_BYTES',
    doc: 'Resident memory beyond which the process that runs the models is replaced, every ten minutes at most, without losing a request.',
    allowed: range(100_000_000, 1_000_000_000_000),
    unit: 'bytes',
    default: 3_000_000_000,
    parse: wholeNumber(100_000_000, 1_000_000_000_000),
  }),
  engineMinutes: setting<number | null>({
    variable: 'PALATE_ENGINE_MINUTES',
    doc: 'How old the process that runs the models may become before it is replaced. Unset, its memory alone decides.',
    allowed: range(1, 100_000),
    unit: 'minutes',
    default: null,
    parse: wholeNumber(1, 100_000),
  }),
  trainingThreads: setting<number>({
    variable: 'PALATE_TRAINING_THREADS',
    doc: 'Processor threads of a training. Its process has the lowest priority; another number gives a model other last digits.',
    allowed: range(1, 64),
    unit: 'threads',
    default: 1,
    parse: wholeNumber(1, 64),
  }),
  shutdownSeconds: setting<number>({
    variable: 'PALATE_SHUTDOWN_SECONDS',
    doc: 'How long a stopping service waits for the requests it is answering.',
    allowed: range(0, 600),
    unit: 'seconds',
    default: 20,
    parse: wholeNumber(0, 600),
  }),
  logLevel: setting<(typeof LOG_LEVELS)[number]>({
    variable: 'PALATE_LOG_LEVEL',
    doc: 'The least severe lines to log.',
    allowed: `one of ${LOG_LEVELS.join(', ')}`,
    default: 'info',
    parse: z.enum(LOG_LEVELS) as z.ZodType<(typeof LOG_LEVELS)[number], string>,
  }),
} as const;

export type Config = { readonly [K in keyof typeof SETTINGS]: (typeof SETTINGS)[K]['default'] };

/**
 * Reads and checks every setting. A variable that is empty counts as unset.
 * Throws BAD_USER_INPUT that names each variable at fault, its value (unless it is a secret) and what is allowed.
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const faults: string[] = [];
  const values = Object.entries(SETTINGS).map(([name, definition]: [string, SettingOf<unknown>]) => {
    const text = environment[definition.variable]?.trim() ?? '';
    if (text === '') return [name, definition.default];
    const parsed = definition.parse.safeParse(text);
    if (parsed.success) return [name, parsed.data];
    const shown = definition.secret ? 'The value' : `"${text}"`;
    faults.push(`${definition.variable}: ${shown} is not ${definition.allowed}.`);
    return [name, definition.default];
  });
  const isSet = (name: keyof typeof SETTINGS) => (environment[SETTINGS[name].variable]?.trim() ?? '') !== '';
  for (const [name, needed] of NEEDS) {
    if (!isSet(name) || isSet(needed)) continue;
    faults.push(
      `${SETTINGS[name].variable}: It means nothing without ${SETTINGS[needed].variable}: set that, or unset this.`,
    );
  }
  if (faults.length > 0) throw new PalateError('BAD_USER_INPUT', faults.join('\n'));
  return Object.fromEntries(values) as Config;
}

/** Settings that mean nothing without another. */
const NEEDS: readonly (readonly [keyof typeof SETTINGS, keyof typeof SETTINGS])[] = [
  ['s3Prefix', 's3Bucket'],
  ['s3Endpoint', 's3Bucket'],
  ['s3Region', 's3Bucket'],
  ['s3PathStyle', 's3Bucket'],
  ['s3AccessKeyId', 's3Bucket'],
  ['s3SecretAccessKey', 's3Bucket'],
  ['s3AccessKeyId', 's3SecretAccessKey'],
  ['s3SecretAccessKey', 's3AccessKeyId'],
];

/** One row a setting for docs/configuration.md and `--help`, in the order of the table. */
export function describeSettings(): {
  variable: string;
  default: string;
  unit: string;
  allowed: string;
  doc: string;
}[] {
  return Object.values(SETTINGS).map((definition: SettingOf<unknown>) => ({
    variable: definition.variable,
    default: shownDefault(definition.default),
    unit: definition.unit ?? '',
    allowed: definition.allowed,
    doc: definition.doc,
  }));
}

function shownDefault(value: unknown): string {
  if (value === null) return 'none';
  return typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value);
}
