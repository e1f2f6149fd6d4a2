/** Reads the option that names a tenant. */
import { idOf } from '../domain/ids.ts';
import { PalateError } from '../errors.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A UUID from a UUID or a global id. Throws BAD_USER_INPUT. */
export function tenantIdOf(tenant: string): string {
  const id = idOf('Tenant', tenant) ?? tenant.toLowerCase();
  if (!UUID.test(id)) throw new PalateError('BAD_USER_INPUT', `--tenant ${tenant} is no id of a tenant.`);
  return id;
}
