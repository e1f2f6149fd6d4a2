/**
 * A process that tries an execution provider, named by its argument: the shipped model has to give the vectors and
 * scores that the processor gives. Says `{ reason }` to its parent, null where it does. Knows no setting.
 */
import { PreferenceModel, SHIPPED_MODEL } from './preferenceModel.ts';
import type { ExecutionProvider } from './session.ts';
import { SessionHost } from './sessionHost.ts';

/** Of a logit: scores differ in the fourth digit where a device sums in another order, or in half the precision. */
const TOLERANCE = 0.02;
const IMAGES = 8;
const JUDGED = 4;

const provider = process.argv[2] as ExecutionProvider;
process.send?.({ reason: await whyNot() }, () => process.exit(0));

async function whyNot(): Promise<string | null> {
  try {
    const [found, expected] = [await logits(provider), await logits('cpu')];
    const apart = Math.max(...expected.map((logit, i) => Math.abs(logit - found[i]!)));
    return apart <= TOLERANCE ? null : `its scores are ${apart} from those of the processor`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Of images that are drawn without chance, to a person who judged half of them. */
async function logits(provider: ExecutionProvider): Promise<number[]> {
  const host = new SessionHost({ provider });
  const model = await PreferenceModel.load(SHIPPED_MODEL, host);
  const { image, text } = model.artifact.transforms;
  const wave = (length: number, seed: number) => Float32Array.from({ length }, (_, i) => Math.sin(seed * i + seed));
  const items = await model.itemVectors(
    Array.from({ length: IMAGES }, (_, i) => ({
      image: wave(image.mean.length, 1 + i),
      text: i % 2 ? wave(text.mean.length, 2 + i) : null,
    })),
  );
  const judged = items
    .slice(0, JUDGED)
    .map((item, i) => ({ item, sentiment: i % 2 ? ('DISLIKE' as const) : ('LIKE' as const), weight: 1 }));
  const [state] = await model.userStates([judged]);
  const [scores] = await model.score([{ state: state!, targets: items }]);
  await model.close();
  await host.close();
  return scores!.flatMap(({ like, dislike }) => [like, dislike]);
}
