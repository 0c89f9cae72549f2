// Everything stays in the file: no emoji pictures, formulas or fonts from elsewhere.
// The texts are ours, so drawings (SVG) may be in them, which Markdown would refuse from strangers.
const drawings = (markdown) => {
  const usual = markdown.validateLink
  markdown.validateLink = (url) => url.startsWith('data:image/svg+xml;') || usual(url)
}

export default {
  themeSet: new URL('theme.css', import.meta.url).pathname,
  options: { emoji: { shortcode: false, unicode: false }, math: false },
  engine: ({ marp }) => marp.use(drawings),
  html: false,
}
