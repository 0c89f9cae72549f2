// Text to drawings: node draw.mjs FOLDER_OF_DOT FOLDER_OF_SVG
import { readFile, readdir, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { instance } from '@viz-js/viz'

const [from, to] = process.argv.slice(2)
const viz = await instance()
await mkdir(to, { recursive: true })
for (const name of (await readdir(from)).filter((name) => name.endsWith('.dot'))) {
  const drawn = viz.render(await readFile(join(from, name), 'utf8'), { format: 'svg' })
  if (drawn.status !== 'success') {
    console.error(`${name}: ${drawn.errors.map((error) => error.message).join('; ')}`)
    process.exit(1)
  }
  await writeFile(join(to, name.replace(/\.dot$/, '.svg')), drawn.output)
}
