/** docs/api.md says what costs what: its table is the one that is reckoned with. */
import { readFile } from 'node:fs/promises';
import { EXPORT_COST, UPLOAD_COST } from '../../src/domain/points.ts';
import { OWN_COST, SEARCH_COST } from '../../src/graphql/limits.ts';

it('the documented points are those that are charged', async () => {
  const text = await readFile(new URL('../../docs/api.md', import.meta.url), 'utf8');
  const table = text.slice(text.indexOf('| field | points of its own |'));
  const documented: Record<string, number> = {};
  for (const [, fields, points] of table.matchAll(/^\| (`.+`) \| (\d+) \|$/gm)) {
    for (const [, field] of fields!.matchAll(/`([^`]+)`/g)) documented[field!] = Number(points);
  }
  expect(documented).toEqual({
    ...OWN_COST,
    'Query.images(query)': SEARCH_COST,
    'POST /images': UPLOAD_COST,
    'GET /users/<id>/export': EXPORT_COST,
  });
});
