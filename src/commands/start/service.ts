/**
 * The service, put together: database, queue and networks, and on them the API, the workers, or both in one process.
 * What is opened here is closed here, in the opposite order, however far the start came.
 */
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Config } from '../../config.ts';
import { openDatabase, prepareDatabase } from '../../database/client.ts';
import { startEmbeddedServer } from '../../database/embeddedServer.ts';
import { startForgetting } from '../../domain/forgetting.ts';
import { KeySets } from '../../domain/keySets.ts';
import { keepShipped } from '../../domain/modelFiles.ts';
import { Networks } from '../../domain/models.ts';
import { PictureLinks } from '../../domain/pictureLinks.ts';
import { createPlatform, type Platform } from '../../domain/platform.ts';
import { SecretBox } from '../../domain/secretBox.ts';
import { startKeepingShown } from '../../domain/shownScores.ts';
import { startWatching } from '../../domain/trainingProgress.ts';
import { PalateError } from '../../errors.ts';
import { openFileStores } from '../../files/open.ts';
import { createServer, stopServer } from '../../http/server.ts';
import { readSigningKey } from '../../http/signingKey.ts';
import {
  type ImageEncoder,
  loadImageEncoder,
  loadTextEncoder,
  SHIPPED_IMAGE_ENCODER,
  SHIPPED_TEXT_ENCODER,
  type TextEncoder,
} from '../../inference/encoding/index.ts';
import { Engine } from '../../inference/engine/engine.ts';
import { PreferenceModel, SHIPPED_MODEL } from '../../inference/preferenceModel.ts';
import { chooseProvider } from '../../inference/providerChoice.ts';
import type { ExecutionProvider } from '../../inference/session.ts';
import { SessionHost } from '../../inference/sessionHost.ts';
import { openQueue, prepareQueue } from '../../queue/queue.ts';
import { startEncoding } from '../../workers/encode.ts';
import { startErasing } from '../../workers/erase.ts';
import { startExemplars } from '../../workers/exemplars.ts';
import { startMaintenance } from '../../workers/maintain.ts';
import { startPreparing } from '../../workers/prepare.ts';
import { startPromoting } from '../../workers/promote.ts';
import { startTrainings } from '../../workers/train.ts';
import { startTrainingClock } from '../../workers/trainingClock.ts';
import { startWarming } from '../../workers/warm.ts';
import { serverOptions } from './serverOptions.ts';

/** What of the service this process is. */
export interface ServiceParts {
  readonly api: boolean;
  readonly work: boolean;
}

export interface Service {
  /** Where it answers, such as http://127.0.0.1:4000; null without the API. */
  readonly url: string | null;
  readonly platform: Platform;
  /** Answers what it was asked and finishes what it was doing, within the settings' time; then closes everything. */
  stop(): Promise<void>;
}

/** What to close, last opened first. */
type Closers = { readonly what: string; readonly close: () => Promise<unknown> }[];
/** Beside the settings' time for requests and jobs at hand: what does not let go by then is left as it is. */
const CLOSE_SECONDS = 10;

/** Throws PalateError with what is missing or wrong; nothing is left running then. */
export async function startService(config: Config, log: Logger, parts: ServiceParts): Promise<Service> {
  const closers: Closers = [];
  const stop = async (): Promise<void> => {
    for (let next = closers.pop(); next; next = closers.pop()) {
      const { what, close } = next;
      await within(config.shutdownSeconds + CLOSE_SECONDS, close()).catch((error: unknown) => {
        log.error({ err: error }, `${what} did not close`);
      });
    }
  };
  try {
    return { ...(await open({ config, log, closers }, parts)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What every step of a start works with. */
interface Opening {
  readonly config: Config;
  readonly log: Logger;
  readonly closers: Closers;
}

async function open(opening: Opening, { api, work }: ServiceParts): Promise<Omit<Service, 'stop'>> {
  const address = { url: '' };
  const { platform, encoders, serviceUrl, provider } = await openPlatform(opening, address, work);
  if (api) await startApi(opening, { platform, serviceUrl, provider }, address);
  if (encoders) await startWork(opening, { platform, serviceUrl, provider }, encoders);
  return { url: api ? address.url : null, platform };
}

interface Opened {
  readonly platform: Platform;
  /** The database as the service's role. */
  readonly serviceUrl: string;
  /** What runs the models. */
  readonly provider: ExecutionProvider;
}

/** What only a worker needs. */
interface Encoders {
  readonly imageEncoder: ImageEncoder;
  readonly textEncoder: TextEncoder;
}

/** @param address filled in when the API listens; @param work whether the encoders are opened too */
async function openPlatform(
  { config, log, closers }: Opening,
  address: { readonly url: string },
  work: boolean,
): Promise<Opened & { readonly encoders: Encoders | null }> {
  const choosing = openProvider(config, log); // while the database starts
  const databaseUrl = config.databaseUrl ?? (await openEmbedded({ config, log, closers }));
  const serviceUrl = await prepareDatabase(databaseUrl);
  await prepareQueue(databaseUrl);
  const database = openDatabase(serviceUrl, config.databaseConnections);
  closers.push({ what: 'the database connections', close: () => database.$disconnect() });
  const provider = await choosing;
  const engine = openEngine({ config, log, closers });
  const host = new SessionHost({ provider }, engine); // a thread for all preference models: thousands of tenants may have their own
  const searches = new SessionHost(); // of this process: it is given a gigabyte, and no score waits for a search in it
  closers.push({ what: "the searches' thread", close: () => searches.close() });
  const [baseModel, encoders] = await Promise.all([
    PreferenceModel.load(SHIPPED_MODEL, host),
    work ? openEncoders(provider, engine) : null,
  ]);
  const networks = [baseModel, ...Object.values(encoders ?? {})];
  closers.push({ what: 'the networks', close: () => Promise.all(networks.map((network) => network.close())) });
  const { pictures, weights, close: closeFiles } = await openFileStores(config, log);
  closers.push({ what: 'the stored files', close: async () => closeFiles() });
  await keepShipped(weights, baseModel.artifact);
  const queue = await openQueue(serviceUrl, (error) => log.warn({ err: error }, 'the queue lost a connection'));
  closers.push({ what: 'the queue', close: () => queue.stop(config.shutdownSeconds) });

  const batches = { waitMs: config.batchWaitMs, maxQueuedTargets: config.maxQueuedScores };
  const now = () => new Date();
  const signingKey = config.signingKey ?? (await readSigningKey(config.dataDirectory));
  const platform = createPlatform(
    {
      database,
      queue,
      pictures,
      pictureLimits: { maxBytes: config.maxUploadBytes, maxPixels: config.maxPixels },
      maxPendingImages: config.maxPendingImages,
      weights,
      networks: new Networks({ base: baseModel, files: weights, maxBytes: config.modelCacheBytes, host, batches, log }),
      engine,
      searches,
      baseModel,
      links: new PictureLinks(signingKey, () => config.publicUrl ?? address.url),
      secrets: new SecretBox(signingKey),
      keySets: new KeySets({ internalHosts: config.internalKeySetHosts ?? [], now, log }),
      personPointsPerMinute: config.personPointsPerMinute,
      now,
    },
    {
      userStates: config.userStateCacheBytes,
      itemVectors: config.itemVectorCacheBytes,
      vectorIndexes: config.vectorIndexBytes,
    },
  );
  closers.push({ what: "the networks of tenants' own", close: () => platform.networks.close() });
  const ears = await startForgetting(platform, serviceUrl, (error) =>
    log.warn({ err: error }, 'what other replicas erase is not heard for a moment; all caches are emptied after it'),
  );
  closers.push({ what: 'the ear for what other replicas erase', close: () => ears.close() });
  return { platform, encoders, serviceUrl, provider };
}

/** What the models run on, which the log says, with the reason where it is not what could be hoped for. */
async function openProvider({ executionProvider: setting }: Config, log: Logger): Promise<ExecutionProvider> {
  const { provider, asAsked, missing, environment } = await chooseProvider(setting, process.env);
  Object.assign(process.env, environment); // drivers read it when the first model is opened
  const about = { executionProvider: provider, asked: setting };
  const why = missing.length > 0 ? ` (${missing.join('; ')})` : '';
  if (asAsked) log.info(about, `the models run on ${provider}${why}`);
  else log.warn(about, `PALATE_EXECUTION_PROVIDER cannot be ${setting}: the models run on ${provider}${why}`);
  return provider;
}

/** Runs the networks and the encoders, in a process of its own that can be replaced. */
function openEngine({ config, log, closers }: Opening): Engine {
  const engine = new Engine({
    maxBytes: config.engineMemoryBytes,
    maxAgeMs: config.engineMinutes === null ? null : config.engineMinutes * 60_000,
    log,
  });
  closers.push({ what: 'the process that runs the models', close: () => engine.close() });
  return engine;
}

async function openEncoders(provider: ExecutionProvider, engine: Engine): Promise<Encoders> {
  const host = () => new SessionHost({ provider, background: true }, engine);
  const [imageEncoder, textEncoder] = await Promise.all([
    loadImageEncoder(SHIPPED_IMAGE_ENCODER, { host: host() }),
    loadTextEncoder(SHIPPED_TEXT_ENCODER, { host: host() }),
  ]);
  return { imageEncoder, textEncoder };
}

async function startApi(
  { config, log, closers }: Opening,
  { platform, serviceUrl }: Opened,
  address: { url: string },
): Promise<void> {
  const warming = await startWarming(platform, serviceUrl, (error) =>
    log.warn({ err: error }, 'what models are prepared is not heard for a moment; they are loaded when asked for'),
  );
  closers.push({ what: 'the ear for prepared models', close: () => warming.close() });
  const keeping = startKeepingShown(platform, log);
  closers.push({ what: 'the keeping of scores that were shown', close: () => keeping.stop() });
  const watching = await startWatching(platform.trainingWatchers, serviceUrl, (error) =>
    log.warn({ err: error }, 'changes of trainings are not heard for a moment; all that are watched are read after it'),
  );
  closers.push({ what: 'the ear for changes of trainings', close: () => watching.close() });
  const server = await createServer(platform, serverOptions(config, log));
  closers.push({ what: 'the HTTP server', close: () => stopServer(server, config.shutdownSeconds) });
  address.url = await listen(server, config);
}

async function startWork(
  { config, log, closers }: Opening,
  { platform, serviceUrl, provider }: Opened,
  encoders: Encoders,
): Promise<void> {
  await startEncoding({ ...platform, ...encoders });
  await startPreparing(platform);
  await startExemplars(platform);
  await startErasing(platform);
  await startPromoting(platform);
  const directory = join(config.dataDirectory, 'training');
  const trainings = await startTrainings(platform, { directory, threads: config.trainingThreads, provider, log });
  closers.push({ what: 'the trainings', close: () => trainings.stop() });
  const clock = startTrainingClock(platform, serviceUrl, log);
  closers.push({ what: 'the clock of trainings', close: () => clock.stop() });
  const maintenance = startMaintenance(platform, serviceUrl, log);
  closers.push({ what: 'the maintenance', close: () => maintenance.stop() });
}

async function openEmbedded({ config, closers }: Opening): Promise<string> {
  const embedded = await startEmbeddedServer(join(config.dataDirectory, 'database'));
  closers.push({ what: 'the embedded PostgreSQL', close: () => embedded.stop() });
  return embedded.url;
}

/** The address that the server was given. Throws BAD_USER_INPUT where it cannot be had. */
async function listen(server: FastifyInstance, { host, port }: Config): Promise<string> {
  try {
    return await server.listen({ host, port });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') {
      throw new PalateError(
        'BAD_USER_INPUT',
        `Port ${port} is taken by another program: stop it, or set PORT to another.`,
        { cause },
      );
    }
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EACCES') {
      throw new PalateError(
        'BAD_USER_INPUT',
        `HOST ${host}, PORT ${port} cannot be listened on (${code}): choose others.`,
        { cause },
      );
    }
    throw cause;
  }
}

/** The promise's outcome, or a failure after so many seconds. */
async function within(seconds: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`It took longer than ${seconds} seconds.`)), seconds * 1000);
  });
  await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
