/**
 * Images a second, from `POST /images` until they are READY, beside the encoder alone over the same pictures, in turn. Then
 * what happens where pictures come faster than they are encoded: how many wait at most, what is refused, and whether all
 * of them are READY in the end, sent again after `Retry-After`.
 *
 *     npm run bench:images [-- --rounds 5] [--env NAME=VALUE] [--json FILE]
 *
 * Runs for some three minutes. Pictures are 512 × 512 JPEGs, made here, each sent once; this process is the client, and
 * encodes while the service has nothing to do. The way to READY has the upload in it (the check that decodes every pixel,
 * the file synced to the disk, the row, the job), the client's own part, and the item vectors of the active model.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { loadImageEncoder, SHIPPED_IMAGE_ENCODER } from '../src/inference/encoding/index.ts';
import { Random } from '../src/random.ts';
import { figure, median } from './support/measure.ts';
import { environmentOf, writeReport } from './support/report.ts';
import { type RunningService, startService } from './support/service.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    env: { type: 'string', multiple: true, default: [] },
    json: { type: 'string' },
  },
});
const ROUNDS = Number(values.rounds);
/** Of one round: some seconds of work, so that the half-filled batches of the first moment weigh little. */
const PICTURES = 200;
const SIDE = 512;
/** Pictures that are uploaded at a time, as an importer does. */
const UPLOADS = 8;
/** As the service's worker takes them. */
const ENCODED_AT_ONCE = 16;
const LOOK_MS = 50;
/** The least that the setting takes, and more than as many small pictures, so that it is reached. */
const MOST_PENDING = 1_000;
const CROWD = 2_500;
const CROWD_SIDE = 64;

const random = new Random('bench/images');

/** So many that no two are alike. */
function draw(count: number, side: number): Promise<Buffer[]> {
  return Promise.all(
    Array.from({ length: count }, () => {
      const coarse = Buffer.from(Array.from({ length: 32 * 32 * 3 }, () => random.int(256)));
      const image = sharp(coarse, { raw: { width: 32, height: 32, channels: 3 } });
      return image.resize(side, side).jpeg({ quality: 90 }).toBuffer();
    }),
  );
}

interface Uploads {
  /** Milliseconds until the last of them was acknowledged. */
  readonly acknowledged: number;
  readonly refused: number;
}

/** Sends pictures, so many at a time; what is refused is sent again when the service has said. */
async function upload({ url, serviceKey }: RunningService, pictures: readonly Buffer[]): Promise<Uploads> {
  const waiting = [...pictures];
  let refused = 0;
  const send = async (): Promise<void> => {
    for (let picture = waiting.pop(); picture; picture = waiting.pop()) {
      const response = await fetch(`${url}/images`, {
        method: 'POST',
        headers: { authorization: `Bearer ${serviceKey}`, 'content-type': 'image/jpeg' },
        body: Uint8Array.from(picture),
      });
      const text = await response.text();
      if (response.ok) continue;
      if (response.status !== 503) throw new Error(`${response.status}: ${text}`);
      refused += 1;
      waiting.push(picture);
      await delay(1000 * Number(response.headers.get('retry-after')));
    }
  };
  const begun = performance.now();
  await Promise.all(Array.from({ length: UPLOADS }, send));
  return { acknowledged: performance.now() - begun, refused };
}

async function countOf(service: RunningService, status: string): Promise<number> {
  const { images } = await service.query<{ images: { totalCount: number } }>(
    `{ images(status: ${status}) { totalCount } }`,
  );
  return images.totalCount;
}

/** Resolves when nothing waits. Returns how many waited at most, as far as was seen. */
async function encoded(service: RunningService, isSent: () => boolean): Promise<number> {
  for (let most = 0; ; await delay(LOOK_MS)) {
    const sent = isSent(); // before the count: what is sent meanwhile would be missed
    const pending = await countOf(service, 'PENDING');
    most = Math.max(most, pending);
    if (sent && pending === 0) return most;
  }
}

/** Sends pictures and waits until all are READY. Throws where one FAILED. */
async function takeIn(service: RunningService, pictures: readonly Buffer[]) {
  let sent = false;
  const begun = performance.now();
  const sending = upload(service, pictures).finally(() => {
    sent = true;
  });
  const [uploads, mostPending] = await Promise.all([sending, encoded(service, () => sent)]);
  const ms = performance.now() - begun;
  const failed = await countOf(service, 'FAILED');
  if (failed > 0) throw new Error(`${failed} pictures FAILED.`);
  return { ...uploads, mostPending, ms };
}

async function besideEncoder(service: RunningService): Promise<Record<string, number>> {
  const encoder = await loadImageEncoder(SHIPPED_IMAGE_ENCODER);
  const rates = { encoder: [] as number[], ready: [] as number[], acknowledged: [] as number[] };
  for (let round = 0; round <= ROUNDS; round++) {
    const pictures = await draw(PICTURES, SIDE);
    const begun = performance.now();
    for (let at = 0; at < PICTURES; at += ENCODED_AT_ONCE)
      await encoder.encode(pictures.slice(at, at + ENCODED_AT_ONCE));
    const alone = performance.now() - begun;
    const { ms, acknowledged } = await takeIn(service, pictures);
    if (round === 0) continue; // it warms up
    for (const [name, took] of Object.entries({ encoder: alone, ready: ms, acknowledged })) {
      rates[name as keyof typeof rates].push((1000 * PICTURES) / took);
    }
  }
  await encoder.close();
  const [encoderRate, ready, acknowledged] = [median(rates.encoder), median(rates.ready), median(rates.acknowledged)];
  console.log('pictures a second:');
  console.table({
    'the encoder alone': { 'a second': figure(encoderRate), 'of the encoder': '' },
    'POST /images to READY': {
      'a second': figure(ready),
      'of the encoder': `${figure((100 * ready) / encoderRate)} %`,
    },
    'of these, acknowledged': {
      'a second': figure(acknowledged),
      'of the encoder': `${figure((100 * acknowledged) / encoderRate)} %`,
    },
  });
  return { encoder: encoderRate, ready, acknowledged };
}

async function crowded(): Promise<Record<string, number>> {
  const environment = { ...environmentOf(values.env), PALATE_MAX_PENDING_IMAGES: String(MOST_PENDING) };
  const service = await startService({ environment });
  try {
    const { mostPending, refused, ms, acknowledged } = await takeIn(service, await draw(CROWD, CROWD_SIDE));
    const ready = await countOf(service, 'READY');
    console.log(`${CROWD} small pictures, ${UPLOADS} at a time, of which ${MOST_PENDING} may wait:`);
    console.table({
      'waited at most': mostPending,
      'refused, and sent again': refused,
      'READY in the end': ready,
      'acknowledged a second': figure((1000 * CROWD) / acknowledged),
      'READY a second': figure((1000 * CROWD) / ms),
    });
    return { mostPending, refused, ready, acknowledgedASecond: (1000 * CROWD) / acknowledged };
  } finally {
    await service.stop();
  }
}

const environment = environmentOf(values.env);
const service = await startService({ environment });
const beside = await besideEncoder(service).finally(() => service.stop());
const crowd = await crowded();
await writeReport(values.json, {
  bench: 'images',
  settings: {
    environment,
    pictures: PICTURES,
    side: SIDE,
    uploads: UPLOADS,
    rounds: ROUNDS,
    crowd: CROWD,
    mostPending: MOST_PENDING,
  },
  figures: { beside, crowd },
});
