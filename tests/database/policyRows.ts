/**
 * A tenant with two people and a row of each kind in every table, written as the tables' owner. Whose a row is stands in
 * the first digit of the id that names its person or thing: 0 nobody's, 1 of P, 2 of Q.
 */
import type pg from 'pg';

const id = (digit: number) => `${digit}0000000-0000-7000-8000-000000000000`;

export const TENANT = id(8);
export const OTHER_TENANT = id(9);
export const P = id(1);
export const Q = id(2);
const NOBODY = id(0);

const HASH = `repeat('a', 64)`;

/** Statements for the tenant $1; those with $2 are run for P and for Q. */
const OF_TENANT = [
  `INSERT INTO tenants (tenant_id, name) VALUES ($1, 'a tenant')`,
  `INSERT INTO api_keys (tenant_id, id, name, role, prefix, secret_sha256)
     VALUES ($1, '${NOBODY}', 'a key', 'ADMIN', 'plt_', sha256('x'))`,
  `INSERT INTO models (tenant_id, id, version, status, sha256, tower, image_encoder, text_encoder, layers, heads, tokens)
     VALUES ($1, '${NOBODY}', 0, 'ACTIVE', ${HASH}, ${HASH}, ${HASH}, ${HASH}, 3, 4, 10)`,
  `INSERT INTO images (tenant_id, id, sha256, format, byte_length, width, height)
     VALUES ($1, '${NOBODY}', ${HASH}, 'png', 1, 1, 1)`,
  `INSERT INTO embeddings (tenant_id, image_id, encoder, vector) VALUES ($1, '${NOBODY}', ${HASH}, 'x')`,
  `INSERT INTO item_vectors (tenant_id, tower, image_id, vector) VALUES ($1, ${HASH}, '${NOBODY}', 'x')`,
  `INSERT INTO token_exemplars (tenant_id, model_id, token, image_id, weight) VALUES ($1, '${NOBODY}', 0, '${NOBODY}', 1)`,
  `INSERT INTO idempotency_keys (tenant_id, asker, operation, key, request_sha256, ids, user_errors, user_ids)
     VALUES ($1, '${NOBODY}', 'submitFeedback', 'a key', sha256('x'), '{}', '[]', '{}')`,
  `INSERT INTO point_leases (tenant_id, subject, window_start, leased, granted) VALUES ($1, $1, now(), 1, 1)`,
  `INSERT INTO audit_events (tenant_id, id, at, actor, action, request_id)
     VALUES ($1, '${NOBODY}', now(), 'a key', 'createApiKey', 'a request')`,
  `INSERT INTO audit_addresses (tenant_id, event_id, address, at) VALUES ($1, '${NOBODY}', '127.0.0.1', now())`,
  `INSERT INTO erasures (tenant_id, user_id, erased_at, feedback_deleted) VALUES ($1, '${NOBODY}', now(), 1)`,
  `INSERT INTO training_jobs (tenant_id, id, stage, requested_by, seed, promote_if_better)
     VALUES ($1, '${NOBODY}', 'waiting', 'a key', 1, false)`,
  `INSERT INTO training_losses (tenant_id, job_id, step, base, contrastive, total) VALUES ($1, '${NOBODY}', 0, 1, 1, 2)`,
  `INSERT INTO shadows (tenant_id, model_id, share) VALUES ($1, '${NOBODY}', 0.1)`,
  `INSERT INTO files_to_erase (tenant_id, sha256) VALUES ($1, ${HASH})`,
];
const OF_PERSON = [
  `INSERT INTO users (tenant_id, id, external_id) VALUES ($1, $2::uuid, $2::text)`,
  `INSERT INTO images (tenant_id, id, owner_id, sha256, format, byte_length, width, height)
     VALUES ($1, $2, $2, ${HASH}, 'png', 1, 1, 1)`,
  `INSERT INTO embeddings (tenant_id, image_id, encoder, vector) VALUES ($1, $2, ${HASH}, 'x')`,
  `INSERT INTO item_vectors (tenant_id, tower, image_id, vector) VALUES ($1, ${HASH}, $2, 'x')`,
  `INSERT INTO token_exemplars (tenant_id, model_id, token, image_id, weight) VALUES ($1, '${NOBODY}', 0, $2, 1)`,
  `INSERT INTO feedback (tenant_id, id, user_id, image_id, sentiment, weight, judged_at)
     VALUES ($1, $2, $2, '${NOBODY}', 'LIKE', 1, now())`,
  `INSERT INTO comparisons (tenant_id, id, user_id, chosen_id, judged_at) VALUES ($1, $2, $2, '${NOBODY}', now())`,
  `INSERT INTO comparison_others (tenant_id, comparison_id, position, image_id) VALUES ($1, $2, 0, '${NOBODY}')`,
  `INSERT INTO profiles (tenant_id, model_id, user_id, vector, likes, dislikes, feedback_version, as_of)
     VALUES ($1, '${NOBODY}', $2, 'x', 1, 0, 1, now())`,
  `INSERT INTO recommendation_lists (tenant_id, id, user_id, model_id, feedback_version, image_ids, scores, expires_at)
     VALUES ($1, $2, $2, '${NOBODY}', 1, '{}', 'x', now())`,
  `INSERT INTO idempotency_keys (tenant_id, asker, operation, key, request_sha256, ids, user_errors, user_ids)
     VALUES ($1, $2, 'submitFeedback', 'a key', sha256('x'), '{}', '[]', '{}')`,
  `INSERT INTO training_people (tenant_id, model_id, user_id) VALUES ($1, '${NOBODY}', $2)`,
  `INSERT INTO exposures (tenant_id, user_id, image_id, model_id, value, at)
     VALUES ($1, $2, '${NOBODY}', '${NOBODY}', 0.5, now())`,
];

/** Fills every table for the tenant, and makes the other tenant, which has nothing. */
export async function writeRows(owner: pg.Client): Promise<void> {
  for (const statement of OF_TENANT) await owner.query(statement, [TENANT]);
  for (const statement of OF_PERSON) for (const person of [P, Q]) await owner.query(statement, [TENANT, person]);
  await owner.query(OF_TENANT[0]!, [OTHER_TENANT]);
}
