/**
 * The service, put together: database, queue, networks, workers and HTTP in one process. What is opened here is closed
 * here, in the opposite order, however far the start came.
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
import { PalateError } from '../../errors.ts';
import { DiskStore } from '../../files/store.ts';
import { createServer, stopServer } from '../../http/server.ts';
import { readSigningKey } from '../../http/signingKey.ts';
import {
  loadImageEncoder,
  loadTextEncoder,
  SHIPPED_IMAGE_ENCODER,
  SHIPPED_TEXT_ENCODER,
} from '../../inference/encoding/index.ts';
import { PreferenceModel, SHIPPED_MODEL } from '../../inference/preferenceModel.ts';
import { openQueue, prepareQueue } from '../../queue/queue.ts';
import { startEncoding } from '../../workers/encode.ts';
import { startErasing } from '../../workers/erase.ts';
import { startExemplars } from '../../workers/exemplars.ts';
import { startMaintenance } from '../../workers/maintain.ts';
import { startPreparing } from '../../workers/prepare.ts';
import { startWarming } from '../../workers/warm.ts';
import { serverOptions } from './serverOptions.ts';

export interface Service {
  /** Where it answers, such as http://127.0.0.1:4000. */
  readonly url: string;
  readonly platform: Platform;
  /** Answers what it was asked and finishes what it was doing, within the settings' time; then closes everything. */
  stop(): Promise<void>;
}

/** What to close, last opened first. */
type Closers = { readonly what: string; readonly close: () => Promise<unknown> }[];
/** Beside the settings' time for requests and jobs at hand: what does not let go by then is left as it is. */
const CLOSE_SECONDS = 10;

/** Throws PalateError with what is missing or wrong; nothing is left running then. */
export async function startService(config: Config, log: Logger): Promise<Service> {
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
    return { ...(await open(config, log, closers)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function open(config: Config, log: Logger, closers: Closers): Promise<Omit<Service, 'stop'>> {
  const databaseUrl = config.databaseUrl ?? (await openEmbedded(config, closers));
  const serviceUrl = await prepareDatabase(databaseUrl);
  await prepareQueue(databaseUrl);
  const database = openDatabase(serviceUrl, config.databaseConnections);
  closers.push({ what: 'the database connections', close: () => database.$disconnect() });
  const [baseModel, imageEncoder, textEncoder] = await Promise.all([
    PreferenceModel.load(SHIPPED_MODEL),
    loadImageEncoder(SHIPPED_IMAGE_ENCODER, { background: true }),
    loadTextEncoder(SHIPPED_TEXT_ENCODER, { background: true }),
  ]);
  const networks = [baseModel, imageEncoder, textEncoder];
  closers.push({ what: 'the networks', close: () => Promise.all(networks.map((network) => network.close())) });
  const weights = await DiskStore.open(join(config.dataDirectory, 'models'));
  await keepShipped(weights, baseModel.artifact);
  const queue = await openQueue(serviceUrl, (error) => log.warn({ err: error }, 'the queue lost a connection'));
  closers.push({ what: 'the queue', close: () => queue.stop(config.shutdownSeconds) });

  let url = '';
  const now = () => new Date();
  const signingKey = config.signingKey ?? (await readSigningKey(config.dataDirectory));
  const platform = createPlatform(
    {
      database,
      queue,
      pictures: await DiskStore.open(join(config.dataDirectory, 'pictures')),
      pictureLimits: { maxBytes: config.maxUploadBytes, maxPixels: config.maxPixels },
      weights,
      networks: new Networks({ base: baseModel, files: weights, maxBytes: config.modelCacheBytes, log }),
      baseModel,
      links: new PictureLinks(signingKey, () => config.publicUrl ?? url),
      secrets: new SecretBox(signingKey),
      keySets: new KeySets({ internalHosts: config.internalKeySetHosts ?? [], now, log }),
      personPointsPerMinute: config.personPointsPerMinute,
      now,
    },
    { userStates: config.userStateCacheBytes, vectorIndexes: config.vectorIndexBytes },
  );
  closers.push({ what: "the networks of tenants' own", close: () => platform.networks.close() });
  const ears = await startForgetting(platform, serviceUrl, (error) =>
    log.warn({ err: error }, 'what other replicas erase is not heard for a moment; all caches are emptied after it'),
  );
  closers.push({ what: 'the ear for what other replicas erase', close: () => ears.close() });
  const warming = await startWarming(platform, serviceUrl, (error) =>
    log.warn({ err: error }, 'what models are prepared is not heard for a moment; they are loaded when asked for'),
  );
  closers.push({ what: 'the ear for prepared models', close: () => warming.close() });
  const server = await createServer(platform, serverOptions(config, log));
  closers.push({ what: 'the HTTP server', close: () => stopServer(server, config.shutdownSeconds) });
  url = await listen(server, config);
  await startEncoding({ ...platform, imageEncoder, textEncoder });
  await startPreparing(platform);
  await startExemplars(platform);
  await startErasing(platform);
  const maintenance = startMaintenance(platform, serviceUrl, log);
  closers.push({ what: 'the maintenance', close: () => maintenance.stop() });
  return { url, platform };
}

async function openEmbedded(config: Config, closers: Closers): Promise<string> {
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
