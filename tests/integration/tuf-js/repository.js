// repository.js DIRECTORY NAME=CONTENT...: writes a repository of @tufjs/repo-mock as files, and its root.json.
const fs = require('fs');
const path = require('path');
const {initializeTUFRepo} = require('@tufjs/repo-mock');

const [directory, ...pairs] = process.argv.slice(2);
const targets = pairs.map((pair) => {
  const at = pair.indexOf('=');
  return {name: pair.slice(0, at), content: pair.slice(at + 1)};
});
const repository = initializeTUFRepo(targets);

function write(name, content) {
  const file = path.join(directory, name);
  fs.mkdirSync(path.dirname(file), {recursive: true});
  fs.writeFileSync(file, content);
}

const metadata = {
  '1.root': repository.rootMeta,
  timestamp: repository.timestampMeta,
  snapshot: repository.snapshotMeta,
  targets: repository.targetsMeta,
};
for (const [name, value] of Object.entries(metadata)) {
  write(`metadata/${name}.json`, JSON.stringify(value.toJSON()));
}
write('root.json', JSON.stringify(repository.rootMeta.toJSON()));
targets.forEach((target) => write(`targets/${target.name}`, target.content));
