// Express 4 under its own name. It has no types here; those of Express 5 fit what the tests use of it.
declare module 'express4' {
  import express from 'express';
  export default express;
}
