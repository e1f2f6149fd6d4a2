/**
 * What would be known of an image had fewer people judged it: training and fitting see few raters as often as many,
 * since every image has been new once.
 */
import type { Random } from '../../random.ts';
import type { Popularity } from '../tasks.ts';

/**
 * Some of the judgements, drawn by lot without putting back: how many is log-uniform from none to all. Weighted
 * judgements are taken for as many plain ones.
 */
export function thin({ sum, count }: Popularity, random: Random): Popularity {
  const all = Math.round(count);
  const kept = Math.min(all, Math.floor(Math.exp(random.uniform() * Math.log(all + 2))) - 1);
  if (kept === all) return { sum, count };
  let likes = Math.round((all * (1 + sum / Math.max(count, 1e-9))) / 2);
  let liked = 0;
  for (let i = 0; i < kept; i++) {
    if (random.uniform() * (all - i) >= likes) continue;
    likes--;
    liked++;
  }
  return { sum: 2 * liked - kept, count: kept };
}
