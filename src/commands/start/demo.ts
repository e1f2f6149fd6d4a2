/**
 * Fills the demo tenant with the gallery and the people who judge it, through the functions that the API calls. Begun
 * again after a stop or a kill it puts in what is missing; nothing is put in twice.
 */
import { withTenant } from '../../database/client.ts';
import { countImages, imagesByExternalIds } from '../../domain/images.ts';
import type { Platform } from '../../domain/platform.ts';
import { submitFeedback } from '../../domain/submitFeedback.ts';
import { readTenant } from '../../domain/tenants.ts';
import { takePicture } from '../../domain/uploads.ts';
import { upsertUsers } from '../../domain/users.ts';
import { PalateError } from '../../errors.ts';
import { DEMO_PICTURES, gallery } from '../../gallery/gallery.ts';
import { judge, people } from '../../gallery/people.ts';
import { type Picture, renderPicture } from '../../gallery/picture.ts';
import { Random } from '../../random.ts';
import { showProgress } from '../progress.ts';

/** Pictures put before each person: some 34 judgements of 240, so that most are left to recommend. */
const SHOWN_TO_EACH = 40;
/** Time between two judgements of one person: they came over the last days, not all at once. */
const JUDGEMENT_STEP_MS = 20 * 60_000;
/** How often the encoder's progress is read. */
const LOOK_MS = 300;

/** Resolves when every picture can be scored, or soon after `stop` is aborted. */
export async function fillDemo(platform: Platform, tenantId: string, stop: AbortSignal): Promise<void> {
  const pictures = gallery(DEMO_PICTURES);
  await withTenant(tenantId, async () => {
    await putPictures(platform, pictures, stop);
    if (!stop.aborted) await putPeople(platform, pictures);
    await untilEncoded(platform, stop);
  });
}

async function putPictures(platform: Platform, pictures: readonly Picture[], stop: AbortSignal): Promise<void> {
  const known = await imagesByExternalIds(
    platform.database,
    pictures.map(({ name }) => name),
  );
  const missing = pictures.filter(({ name }) => !known.has(name));
  if (missing.length === 0) return;
  const progress = showProgress('Drawing pictures', missing.length);
  for (const picture of missing) {
    if (stop.aborted) break;
    const { name, prompt, attributes } = picture;
    await takePicture(platform, await renderPicture(picture), {
      externalId: name,
      prompt,
      generator: `palate-gallery/${attributes.style}`,
      collection: 'gallery',
    });
    progress.advance();
  }
  progress.finish();
}

/** Judged in the days before the tenant was made, so that a second time puts in the very same. */
async function putPeople(platform: Platform, pictures: readonly Picture[]): Promise<void> {
  const everyone = people();
  const items = everyone.map(({ externalId, displayName }) => ({ externalId, displayName }));
  const { userErrors } = await upsertUsers(platform, items);
  const newest = (await readTenant(platform.database))!.createdAt.getTime();
  for (const person of everyone) {
    const shown = new Random(`${person.seed}/shown`).choose(pictures, SHOWN_TO_EACH);
    const feedback = judge(person, shown).map(({ picture, sentiment }, index) => ({
      user: { externalId: person.externalId },
      image: { externalId: picture.name },
      sentiment,
      judgedAt: new Date(newest - (SHOWN_TO_EACH - index) * JUDGEMENT_STEP_MS),
    }));
    userErrors.push(...(await submitFeedback(platform, { items: feedback })).userErrors);
  }
  if (userErrors.length > 0)
    throw new PalateError('INTERNAL_SERVER_ERROR', `The demo could not be put in: ${userErrors[0]!.message}`);
}

async function untilEncoded({ database }: Platform, stop: AbortSignal): Promise<void> {
  const pending = (): Promise<number> => countImages(database, { status: 'PENDING' });
  let left = await pending();
  if (left === 0) return;
  const progress = showProgress('Encoding pictures', left);
  while (left > 0 && !stop.aborted) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const now = await pending();
    progress.advance(left - now);
    left = now;
  }
  progress.finish();
}
