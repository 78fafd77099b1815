"""The page of response times: how long requests take, and where their time goes."""
