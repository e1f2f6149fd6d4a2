/** Pages of similar users: wherever a page ends, its cursor goes on from there. */
import { withTenant } from '../../src/database/client.ts';
import { newId } from '../../src/domain/ids.ts';
import { similarityOf, similarUserPage } from '../../src/domain/similarity.ts';

it('goes on from its own cursors, however near to 0 or 1 the similarity', () =>
  withTenant(newId(), async () => {
    const list = [1.1, 1, 0.5, 1e-7, 5e-16, 0].map((product) => ({
      userId: newId(),
      similarity: similarityOf(product),
    }));
    for (const [i, { cursor }] of similarUserPage(list, { first: 100 }).edges.entries()) {
      expect(similarUserPage(list, { first: 100, after: cursor }).nodes).toEqual(list.slice(i + 1));
    }
  }));
