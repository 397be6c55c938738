// Runs GitHub's own client of the cache service. Arguments: the path of the client's module,
// and a list of commands in JSON, each of them ["save", key] or ["restore", key, prefix...].
// The last line of the output is what they have returned, in JSON. The file that is saved
// and restored is the working directory's "file".
import { pathToFileURL } from 'node:url';

const client = await import(pathToFileURL(process.argv[2]));
const returned = [];
for (const [command, key, ...prefixes] of JSON.parse(process.argv[3])) {
  if (command === 'save') returned.push(await client.saveCache(['file'], key) > 0);
  if (command === 'restore') returned.push((await client.restoreCache(['file'], key, prefixes)) ?? null);
}
console.log('\n' + JSON.stringify(returned));
