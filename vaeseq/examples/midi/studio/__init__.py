"""The studio: a page on this machine on which a person plays with a trained model of music.

`app.create_app` is the server as a WSGI application, `serve` is the command.
"""
