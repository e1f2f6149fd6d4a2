/** Global ids: one spelling each, and nothing else is one. */
import { fromGlobalId, idOf, newId, toGlobalId } from '../../src/domain/ids.ts';

const uuid = '01900000-0000-7000-8000-0123456789ab';

describe('a global id', () => {
  it('is opaque, and names its type and row', () => {
    const id = toGlobalId('User', uuid);
    expect(id).toMatch(/^[A-Za-z0-9_-]+$/);
    expect(fromGlobalId(id)).toEqual({ type: 'User', id: uuid });
    expect([idOf('User', id), idOf('Image', id)]).toEqual([uuid, null]);
  });

  it.each([
    '',
    'nonsense',
    uuid,
    Buffer.from(`User:${uuid.toUpperCase()}`).toString('base64url'),
    Buffer.from(`User:${uuid} `).toString('base64url'),
    Buffer.from(`:${uuid}`).toString('base64url'),
    `${toGlobalId('User', uuid)}==`,
    `${toGlobalId('User', uuid)} `,
    'x'.repeat(1_000_000),
  ])('has one spelling: %p is none', (id) => {
    expect(fromGlobalId(id)).toBeNull();
  });
});

describe('newId', () => {
  it('rises with time, so that the order of ids is the order of creation', () => {
    const ids = Array.from({ length: 1000 }, newId);
    expect([...new Set(ids)].sort()).toEqual(ids);
    expect(ids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  });
});
