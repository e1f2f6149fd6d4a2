/**
 * Which judgements the blocks read of a longer history: the newest, likes and dislikes balanced where they can be.
 */

/**
 * Indices of at most `limit` judgements, in their order. Half of the places belong to likes and half to dislikes, the
 * newest of each; places that one side leaves free go to the newest of the other.
 * @param sentiments newest first
 */
export function selectHistory(sentiments: readonly ('LIKE' | 'DISLIKE')[], limit: number): number[] {
  const sides = (['LIKE', 'DISLIKE'] as const).map((side) => sentiments.flatMap((s, i) => (s === side ? [i] : [])));
  const [likes, dislikes] = sides as [number[], number[]];
  const half = Math.floor(limit / 2);
  const likePlaces = Math.min(likes.length, Math.max(half, limit - dislikes.length));
  const dislikePlaces = Math.min(dislikes.length, limit - likePlaces);
  return [...likes.slice(0, likePlaces), ...dislikes.slice(0, dislikePlaces)].sort((a, b) => a - b);
}
