/** docs/configuration.md is the table of src/config.ts, and no setting is read elsewhere. */
import { readdir, readFile } from 'node:fs/promises';
import { describeSettings } from '../../src/config.ts';

const read = (path: string): Promise<string> => readFile(new URL(`../../${path}`, import.meta.url), 'utf8');

/** The page's table, as it should be. */
function settingsTable(): string {
  const rows = describeSettings().map(
    ({ variable, default: value, unit, allowed, doc }) =>
      `| \`${variable}\` | ${value === 'none' ? 'none' : `\`${value}\``}${unit ? ` ${unit}` : ''} | ${allowed} | ${doc} |`,
  );
  return ['| variable | default | allowed | what for |', '|---|---|---|---|', ...rows].join('\n');
}

it('docs/configuration.md holds every setting as src/config.ts has it', async () => {
  expect(await read('docs/configuration.md')).toContain(settingsTable());
});

it('every variable of the environment that src reads is a setting, or is documented beside the table', async () => {
  const page = await read('docs/configuration.md');
  const files = await readdir(new URL('../../src', import.meta.url), { recursive: true });
  for (const file of files.filter((name) => name.endsWith('.ts') && !name.includes('generated'))) {
    for (const [, variable] of (await read(`src/${file}`)).matchAll(/process\.env(?:\.|\[')([A-Z][A-Z_]+)/g)) {
      if (/^(PATH|SYSTEMROOT|NODE_ENV)$/.test(variable!)) continue; // the system's, passed on
      expect([file, page.includes(`\`${variable}\``)]).toEqual([file, true]);
    }
  }
});
