/**
 * `palate keys`: API keys made, listed and revoked by who runs the installation: the first operator's, and a tenant's
 * whose own ADMIN has lost theirs. It works on the database, beside a running service or without one.
 */
import { Command, Option } from 'commander';
import { readConfig } from '../config.ts';
import type { Database } from '../database/client.ts';
import { PalateError } from '../errors.ts';
import { EXIT_CODE_HELP } from './exitCodes.ts';

interface OwnerOptions {
  operator?: boolean;
  tenant?: string;
}

interface CreateOptions extends OwnerOptions {
  role: 'ADMIN' | 'SERVICE';
  name: string;
}

export function keysCommand(): Command {
  return new Command('keys')
    .description('Make, list and revoke API keys: operators’, or those of one tenant.')
    .addCommand(
      ofOwner(new Command('create'))
        .description('Make a key and print it, this once.')
        .requiredOption('--name <name>', 'what the audit log will call it, at most 200 characters')
        .addOption(new Option('--role <role>', 'of a tenant’s key').choices(['ADMIN', 'SERVICE']).default('ADMIN'))
        .action(create),
    )
    .addCommand(ofOwner(new Command('list')).description('List the keys, newest first.').action(list))
    .addCommand(
      ofOwner(new Command('revoke'))
        .description('Revoke a key: it is refused from its next request on.')
        .argument('<prefix>', 'the key’s first characters, as `palate keys list` shows them')
        .action(revoke),
    )
    .addHelpText(
      'after',
      `
An operator's key makes tenants through the API (createTenant) and sees none of their data. The database is that of
DATABASE_URL, or the embedded one under PALATE_DATA_DIR, whether the service runs or not.

Examples:
  palate keys create --operator --name "ops laptop"
  palate keys create --tenant 0198c0de-… --role ADMIN --name "recovered"
  palate keys list --operator
  palate keys revoke --operator plt_00000000000000000000000000000000_x1Y2

${EXIT_CODE_HELP}`,
    );
}

function ofOwner(command: Command): Command {
  return command
    .addOption(new Option('--operator', 'the operators’ keys').conflicts('tenant'))
    .option('--tenant <id>', 'the keys of this tenant: its id, as the API or the ready file shows it');
}

async function create({ name, role, ...owner }: CreateOptions): Promise<void> {
  await forOwner(owner, async (database, domain) => {
    const { apiKey, secret } = await domain.issueApiKey(database, doer('create'), new Date(), {
      name,
      role: owner.operator ? 'OPERATOR' : role,
    });
    process.stderr.write(`Key "${apiKey.name}" of role ${apiKey.role}, shown this once:\n`);
    process.stdout.write(`${secret}\n`);
  });
}

async function list(owner: OwnerOptions): Promise<void> {
  await forOwner(owner, async (database, domain) => {
    const keys = await domain.allApiKeys(database);
    const state = ({ revokedAt, expiresAt }: (typeof keys)[number]): string => {
      if (revokedAt) return `revoked ${revokedAt.toISOString()}`;
      return expiresAt && expiresAt <= new Date() ? `expired ${expiresAt.toISOString()}` : 'good';
    };
    for (const key of keys) {
      const used = key.lastUsedAt ? `used ${key.lastUsedAt.toISOString()}` : 'never used';
      process.stdout.write(`${[key.prefix, key.role, state(key), used, key.name].join('  ')}\n`);
    }
    if (keys.length === 0) process.stderr.write('There are no keys.\n');
  });
}

async function revoke(prefix: string, owner: OwnerOptions): Promise<void> {
  await forOwner(owner, async (database, domain) => {
    const { name } = await domain.revokeByPrefix(database, doer('revoke'), new Date(), prefix);
    process.stdout.write(`Key "${name}" is revoked.\n`);
  });
}

type KeyFunctions = typeof import('../domain/apiKeys.ts');

/** Runs `work` in the session that has the owner's keys. Throws BAD_USER_INPUT where no owner is named. */
async function forOwner(
  { operator, tenant }: OwnerOptions,
  work: (database: Database, domain: KeyFunctions) => Promise<void>,
): Promise<void> {
  if (!operator && tenant === undefined) {
    throw new PalateError('BAD_USER_INPUT', 'Say whose keys: --operator, or --tenant with its id.');
  }
  // They load the whole house: not for --help.
  const [{ withDatabase }, { NO_TENANT, withTenant }, domain, { tenantIdOf }, { readTenant }] = await Promise.all([
    import('./database.ts'),
    import('../database/client.ts'),
    import('../domain/apiKeys.ts'),
    import('./tenantId.ts'),
    import('../domain/tenants.ts'),
  ]);
  await withDatabase(readConfig(process.env), async (database) => {
    if (operator) return withTenant(NO_TENANT, () => work(database, domain));
    const id = tenantIdOf(tenant!);
    const known = id !== NO_TENANT && (await withTenant(id, () => readTenant(database)));
    if (!known) throw new PalateError('BAD_USER_INPUT', `--tenant: there is no tenant ${tenant}.`);
    return withTenant(id, () => work(database, domain));
  });
}

/** Who did it, for the audit log: whoever may run commands on this machine. */
const doer = (what: string) => ({
  credential: { actor: `palate keys ${what}` },
  address: null,
  requestId: `command-${process.pid}`,
});
