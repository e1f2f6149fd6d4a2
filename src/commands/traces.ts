/**
 * `palate traces`: proves that what was erased is gone, by looking for it in every table and among the stored files. It
 * works on the database, beside a running service or without one.
 */
import { Command } from 'commander';
import { readConfig } from '../config.ts';
import { PalateError } from '../errors.ts';
import { EXIT } from './exitCodes.ts';

interface TracesOptions {
  tenant: string;
  json?: boolean;
}

export function tracesCommand(): Command {
  return new Command('traces')
    .description('Look for values, such as the ids of somebody erased, in every table and among the stored files.')
    .argument(
      '<values...>',
      'what to look for: an externalId, a name, a global id or a UUID, the SHA-256 of a picture or a model',
    )
    .requiredOption('--tenant <id>', 'the tenant whose data it was: its UUID, or its global id')
    .option('--json', 'print JSON instead of a table')
    .action(traces)
    .addHelpText(
      'after',
      `
Every column of every table is searched, the tenant's and the queue's, parts of texts and of bytes included; an id is
looked for in each way that it is written. A text is looked for in the case it is given in. The database is that of
DATABASE_URL, or the embedded one under PALATE_DATA_DIR, whether the service runs or not; the files are those of
PALATE_S3_BUCKET, or those under PALATE_DATA_DIR. A bucket that keeps old versions of objects is not searched for them.

The random id of somebody erased stays in the tombstone, in the audit log and beside the models that learned from
them (docs/decisions/0010-erasure.md). Those places are marked "kept", and are no find.

Examples:
  palate traces --tenant 0198c0de-… ada@example.org VXNlcjowMTk4…
  palate traces --tenant 0198c0de-… --json "Ada Lovelace" | jq '.traces[] | select(.kept | not)'

Exit status: ${EXIT.done} nothing found, or only what is kept; ${EXIT.partly} found; ${EXIT.failed} failed; ${EXIT.usage} wrong arguments or settings.`,
    );
}

async function traces(values: string[], { tenant, json }: TracesOptions): Promise<void> {
  if (values.includes('')) throw new PalateError('BAD_USER_INPUT', 'A value is empty: it would be found everywhere.');
  const config = readConfig(process.env);
  const [{ withDatabase }, { withTenant }, { findTraces }, { tenantIdOf }, { openFileStores }] = await Promise.all([
    import('./database.ts'),
    import('../database/client.ts'),
    import('../domain/traces.ts'),
    import('./tenantId.ts'),
    import('../files/open.ts'),
  ]);
  const tenantId = tenantIdOf(tenant);
  const files = await openFileStores(config, {
    warn: ({ reason }) => void process.stderr.write(`${reason}\n`),
  });
  const found = await withDatabase(config, (database) =>
    withTenant(tenantId, () => findTraces({ database, ...files }, values)),
  ).finally(() => files.close());
  if (json) process.stdout.write(`${JSON.stringify({ traces: found }, null, 2)}\n`);
  else
    for (const { value, place, count, kept } of found) {
      process.stdout.write(`${value}  ${place}  ${count}${kept ? '  kept: a random id' : ''}\n`);
    }
  const left = found.filter(({ kept }) => !kept);
  if (!json && left.length === 0) {
    process.stdout.write(found.length === 0 ? 'Nothing is found.\n' : 'Nothing else is found.\n');
  }
  if (left.length > 0) process.exitCode = EXIT.partly;
}
