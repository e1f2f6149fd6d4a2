/** What tsc leaves behind: the schema's text, which the service reads beside its compiled code. */
import { cp } from 'node:fs/promises';

await cp('src/graphql/schema', 'dist/graphql/schema', { recursive: true });
